"""Serve the fields of one consumer by forks of one interpreter, which has imported the framework and done no more."""
