"""The loader writes PostgreSQL: pages, data points, receipts, runs. It alone does."""
