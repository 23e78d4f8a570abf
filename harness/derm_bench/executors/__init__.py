"""Executors, which run stages and return their records. They are the parent's side and import no torch."""
