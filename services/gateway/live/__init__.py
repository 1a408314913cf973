"""What changes, in the order in which it became visible."""
