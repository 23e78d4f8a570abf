"""How close synthetic images come to real ones: the reference network, distances, halves, rows."""
