"""What the flow needs from the world, in our words, by subject; `wiring` says who provides it."""
