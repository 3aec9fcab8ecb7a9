"""Processes: started clean, watched, and dead with all their children afterwards."""
