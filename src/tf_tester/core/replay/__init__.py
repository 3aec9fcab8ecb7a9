"""When a cell need not run again: the key of everything that decides its result."""
