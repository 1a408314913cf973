"""The gateway serves the REST API.

It sends commands through Kafka and reads PostgreSQL through a read-only role.
"""
