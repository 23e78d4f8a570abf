"""Options and specs of the generators, a module a family. Nothing in this package imports torch."""
