"""Text for people: sizes, times, and nothing that a terminal would obey."""
