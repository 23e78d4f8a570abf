"""Procedural dermoscopy: which lesions there are, what each looks like, and how it is rendered."""
