"""Keys, and who asks."""
