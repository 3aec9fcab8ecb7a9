"""One run: how it begins and ends, and what all its cells share."""
