"""The only place where bytes enter from the network."""
