"""What is known of a machine: interpreters, environments, limits."""
