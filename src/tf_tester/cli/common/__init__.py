"""What commands share: flags, settings, output."""
