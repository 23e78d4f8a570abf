"""Forecasts of the time, memory and disk that a plan needs, from records, probes of small stages, or guesses."""
