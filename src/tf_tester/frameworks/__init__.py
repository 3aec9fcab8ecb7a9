"""What we know about frameworks, as data."""
