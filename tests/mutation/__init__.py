"""Deliberate mistakes, and whether a test notices: `python -m tests.mutation`."""
