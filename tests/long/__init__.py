"""What takes too long for every run: `make test-long NAME=growth`."""
