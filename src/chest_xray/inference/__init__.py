"""Serving a bundle: images in, calibrated findings out. Nothing here imports torch."""
