"""Kafka and PostgreSQL: what they need to run natively."""
