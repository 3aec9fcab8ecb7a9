"""What is taken out of cells: files that a test may have made anything of."""
