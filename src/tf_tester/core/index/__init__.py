"""Project pages: read, written, dated, compared."""
