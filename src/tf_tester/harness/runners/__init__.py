"""The ways to run a user's code: as a script, by unittest, by pytest."""
