"""Tells webhooks what happens. A service of its own: who is told may be slow."""
