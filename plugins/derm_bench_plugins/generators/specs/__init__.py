"""Options and specs of the generators, a module for each. Nothing in this package imports torch."""
