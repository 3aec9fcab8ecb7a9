"""What an image of an environment is made of: pure, nothing here opens a file or knows a registry's address."""
