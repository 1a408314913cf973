"""What a service counts of its own work, and how others come to know it."""
