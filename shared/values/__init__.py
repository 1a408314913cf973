"""Numbers, times and symbols as sources write them, read exactly or refused."""
