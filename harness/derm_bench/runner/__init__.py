"""Runs a plan on an executor and writes the run directory. Imports no torch, because stages run in workers."""
