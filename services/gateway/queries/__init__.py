"""What the endpoints read from PostgreSQL."""
