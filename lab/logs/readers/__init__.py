"""One reader for each trainer's log."""
