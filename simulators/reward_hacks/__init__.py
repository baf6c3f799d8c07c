"""Tasks whose metric can be gamed."""
