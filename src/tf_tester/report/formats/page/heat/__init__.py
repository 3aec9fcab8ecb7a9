"""What the page of a grid has besides: its pictures, what they say, and what a click on a field shows."""
