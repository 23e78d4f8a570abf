"""Procedural photographs of scalps with alopecia areata: the people, and how they are photographed."""
