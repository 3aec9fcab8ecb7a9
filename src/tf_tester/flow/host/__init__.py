"""This machine: its store, its abilities, a shell."""
