"""A toy language model on verifiable tasks, exact by dynamic programming."""
