"""CSV files below CSV_DIR."""
