"""Preference pairs with known token rewards."""
