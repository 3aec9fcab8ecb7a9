"""Who asks a server: what they may, how often, and what is written down of it."""
