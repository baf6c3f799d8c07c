"""Tabular Markov decision processes: a substrate, not a world."""
