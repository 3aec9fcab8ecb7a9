"""Grids as people read them."""
