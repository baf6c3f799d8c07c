"""Several agents on one trajectory, each called in its turn."""
