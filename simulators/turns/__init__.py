"""Episodes of several turns with process rewards."""
