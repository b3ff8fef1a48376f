"""A file of any supported kind becomes one grey array, and one grey array becomes the network's input."""
