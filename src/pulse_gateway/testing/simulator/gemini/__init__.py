"""generateContent, its stream and the model list, as the Gemini Developer API speaks them."""
