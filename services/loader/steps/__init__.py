"""Steps of the migration beside those of the tables."""
