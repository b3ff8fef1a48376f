"""What is read from the records of a running service."""
