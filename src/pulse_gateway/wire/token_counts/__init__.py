"""How many tokens a prompt is, asked in each dialect of chat."""
