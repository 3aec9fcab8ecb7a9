"""The limits under which a test runs."""
