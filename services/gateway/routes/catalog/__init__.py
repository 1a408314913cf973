"""What there is, and what is missing."""
