"""The store and what is behind it, as an index for pip, uv and others."""
