"""What a plan will take: from records of earlier stages, from probes of shrunken ones, else guesses."""
