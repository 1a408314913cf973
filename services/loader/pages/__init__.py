"""Writing pages: rows for COPY, the SQL, one transaction a batch."""
