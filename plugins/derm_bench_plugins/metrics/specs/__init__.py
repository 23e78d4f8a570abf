"""Specs of the metrics, a module for those of one method. Imports no torch."""
