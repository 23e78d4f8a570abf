"""Procedural photographs of faces with acne: the people, their lesions, and the rendering."""
