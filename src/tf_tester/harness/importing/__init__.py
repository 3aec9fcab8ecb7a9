"""What is imported in a cell: from where, by whom, and with what failure."""
