"""The compose deployment, built and run for real where a Docker engine answers."""
