"""The worker's side: serves jobs, performs a stage, watches what it leaves behind. May import stages, and torch."""
