"""The stack without Docker: real Kafka, real PostgreSQL and the services under one supervisor."""
