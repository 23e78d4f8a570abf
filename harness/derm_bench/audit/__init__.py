"""What is wrong with a data set under a split: leaks, repeats, label conflicts, and classes that something other than
the skin tells apart. Pure functions on arrays and columns, one module per subject. Imports no torch."""
