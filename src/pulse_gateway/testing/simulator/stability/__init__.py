"""Stability's REST API, version 2 beta."""
