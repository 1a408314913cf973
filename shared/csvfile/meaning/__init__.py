"""What the columns of a CSV file mean, concluded from what the file shows of itself."""
