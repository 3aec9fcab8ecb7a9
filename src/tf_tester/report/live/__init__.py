"""What a person sees while a run goes on: a board on a terminal, lines in a log."""
