"""Figures by groups of patients, between lists of images, and of what stands beside the lungs."""
