"""Communication graphs among agents, a few of whose edges matter."""
