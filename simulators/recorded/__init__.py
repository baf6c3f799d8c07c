"""Rollouts of a run that is over."""
