"""What a run tells: the record, the live board, the log lines, the text report; all read the same events."""
