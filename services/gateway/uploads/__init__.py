"""Files that come by the API: received in parts, put below CSV_DIR when they are whole."""
