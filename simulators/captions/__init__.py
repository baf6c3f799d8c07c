"""Captions of 1 to 40 units, scored for precision, recall and language."""
