"""Embeddings in each dialect that has them."""
