"""Fidelity of synthetic images: the reference network, distances to real images, halves, rows."""
