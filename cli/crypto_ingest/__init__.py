"""The command line: a client of the API, and of nothing else."""

__version__ = "0.3.0"
