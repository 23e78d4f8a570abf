"""The run directory: its schema, and the only code that writes and reads it."""
