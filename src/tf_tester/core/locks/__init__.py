"""Exact files: locks, and everything that a replica needs."""
