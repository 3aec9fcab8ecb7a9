"""The nouns: frozen values, no behaviour but what follows from their own fields."""
