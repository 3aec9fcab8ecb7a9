"""Commands for this machine and its server."""
