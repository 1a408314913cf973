"""Questions about news."""
