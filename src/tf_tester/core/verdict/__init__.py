"""Why it happened: searches, and who is to blame."""
