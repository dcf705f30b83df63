"""Pulse: an AI gateway as a library."""

__version__ = "0.1.0"
