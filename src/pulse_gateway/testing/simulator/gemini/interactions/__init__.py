"""The Interactions API of the Gemini Developer API."""
