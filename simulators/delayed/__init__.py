"""Episodes of which only the return is seen."""
