"""Tests of Advantage Lab: one folder per folder of the code, and the house's own rules."""
