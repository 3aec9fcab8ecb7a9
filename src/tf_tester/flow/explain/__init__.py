"""Why cells fail, found by running more of them."""
