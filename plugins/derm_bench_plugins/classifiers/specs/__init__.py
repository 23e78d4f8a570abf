"""Options and specs of the classifiers, a module a family. Nothing in this package imports torch."""
