"""What the questions of a finished matrix come to, from the tables of its run directory."""
