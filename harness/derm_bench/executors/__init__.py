"""Executors: they take stages and hand back records. The parent's side imports no torch."""
