"""A small transformer on text tasks."""
