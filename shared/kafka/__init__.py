"""aiokafka with its unsafe defaults set, and what every service builds on it."""
