"""A smaller or faster graph of a bundle, accepted only where it keeps what the bundle can do."""
