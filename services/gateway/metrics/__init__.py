"""What the gateway measures: requests, and what PostgreSQL and Kafka say of the whole product."""
