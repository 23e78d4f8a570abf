"""Options and specs of the data sets, a module for each. Imports no torch."""
