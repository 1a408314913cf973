"""Identities: of runs, tasks, pages and dead letters, of data points, and of values."""
