"""Benchmarks.

The pipeline and the API as a share of what PostgreSQL alone does on the same machine in the same
run.
"""
