"""How long to respond."""
