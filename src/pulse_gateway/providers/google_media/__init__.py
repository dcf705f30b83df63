"""Images and sound of Google's models, wherever they run."""
