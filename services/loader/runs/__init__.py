"""Runs: what events say about them, what they add up to, what they miss."""
