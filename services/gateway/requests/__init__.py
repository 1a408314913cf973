"""What requests may say, and how that is read."""
