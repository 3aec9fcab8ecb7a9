"""Commands that run a test."""
