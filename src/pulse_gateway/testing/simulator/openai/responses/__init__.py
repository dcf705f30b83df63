"""The Responses API, as OpenAI speaks it."""
