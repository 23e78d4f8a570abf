"""Runs a plan and writes the run directory. Free of torch: workers do the work."""
