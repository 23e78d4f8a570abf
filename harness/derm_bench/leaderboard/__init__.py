"""Leaderboards: the numbers that papers printed, and boards of entries that are scored again from their predictions."""
