"""The matrix: a YAML file -> a validated, resolved `Matrix` -> its cells. Pure, and free of torch."""
