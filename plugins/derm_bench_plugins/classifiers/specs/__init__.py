"""Options and specs of the classifiers, a module for each. Nothing in this package imports torch."""
