"""Tests of the fidelity package; a package itself so that they share made-up images."""
