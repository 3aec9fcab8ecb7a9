"""From a selection to environments."""
