"""Messages and the model list, as Anthropic speaks them."""
