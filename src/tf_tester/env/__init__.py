"""Pythons, and environments made of layers."""
