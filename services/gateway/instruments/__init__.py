"""What is priced: coins by symbol, name and the ids of each source."""
