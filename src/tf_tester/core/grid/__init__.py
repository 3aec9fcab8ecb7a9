"""What grids come to, decided without a file or a machine."""
