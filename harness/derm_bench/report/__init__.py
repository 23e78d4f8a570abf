"""Tables, figures and report.html from the records of a run. Imports no torch."""
