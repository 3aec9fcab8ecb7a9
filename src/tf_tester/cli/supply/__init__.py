"""Commands that bring files and carry them elsewhere."""
