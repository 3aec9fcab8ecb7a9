"""Commands that say what differs and why."""
