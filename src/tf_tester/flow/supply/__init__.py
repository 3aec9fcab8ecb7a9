"""Wheels, locks and replicas, brought here and carried elsewhere."""
