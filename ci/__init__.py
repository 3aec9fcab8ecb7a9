"""Scripts of action.yml; no part of what is installed."""
