"""What was found in a training log, for those who were not there: a terminal, a file of HTML, JSON."""
