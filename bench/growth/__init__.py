"""What a record costs when the tables have grown."""
