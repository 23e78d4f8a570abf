"""The training library that generators and classifiers share. Imports torch: workers only."""
