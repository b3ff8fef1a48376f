"""How the service serves, against its bars: `python -m benchmarks.serving`."""
