"""What a running service writes down."""
