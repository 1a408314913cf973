"""Who may use the API: keys beside API_KEY, kept as hashes in a compacted topic."""
