"""Hair as geometry: heads, bald patches, strands, orientation volumes, their pictures, and maps of a photograph."""
