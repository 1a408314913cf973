"""The gateway's side of Kafka: commands that it sends, and what it follows."""
