"""Where files lie: a folder of this machine, or a bucket of an object storage."""
