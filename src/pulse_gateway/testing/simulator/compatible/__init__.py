"""Vendors that copied OpenAI's API, each under `/as/NAME/`, with what they do otherwise."""
