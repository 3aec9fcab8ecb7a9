"""Which versions, Pythons and wheels: from words to cells."""
