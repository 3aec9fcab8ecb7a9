"""What is in a wheel, and which wheels are refused."""
