"""A toy language model with a hidden state."""
