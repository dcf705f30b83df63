"""Replicate: predictions that take a while, the files they make, and the webhooks that tell of them."""
