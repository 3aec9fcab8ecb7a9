"""Grids: what each version saves is loaded under each."""
