"""Procedural dermoscopy: the lesions, their appearance, and their rendering."""
