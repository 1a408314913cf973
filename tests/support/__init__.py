"""What tests of several tiers share: a stack, infrastructure, CSV files and the oracle."""
