"""Messages that cross Kafka, and how they are written, named, marked and addressed."""
