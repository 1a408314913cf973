"""The gateway serves the REST API: it sends commands through Kafka and reads PostgreSQL through a read-only role."""
