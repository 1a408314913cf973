"""What is configured at run time, above what `.env` says."""
