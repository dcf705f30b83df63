"""Chat Completions and the model list, as OpenAI speaks them."""
