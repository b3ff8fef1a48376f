"""What a bundle still can do on films as other equipment and other hands make them, and whether it says so."""
