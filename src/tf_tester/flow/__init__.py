"""Use cases, each readable from top to bottom."""
