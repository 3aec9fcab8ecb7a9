"""Numbers that tests record, compared from version to version and with what the user allows."""
