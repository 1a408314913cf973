"""What is there of a series, what is missing, and why."""
