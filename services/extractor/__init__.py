"""The extractor plans runs into tasks and fetches streams into pages of raw records."""
