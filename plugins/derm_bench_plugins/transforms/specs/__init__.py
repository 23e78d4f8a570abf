"""Options and specs of the transforms, a module for each or for those of one method. Imports no torch."""
