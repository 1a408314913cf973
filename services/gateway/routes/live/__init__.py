"""What changes, as a list and as events."""
