"""Which distributions, exactly: uv decides, but sees only what we show it."""
