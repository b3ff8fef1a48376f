"""Benchmarks: each module is run with `python -m` and writes a JSON file to `benchmarks/results/`."""
