"""Stage `figures`: all figures of a run directory."""
