"""`python -m tests.chaos`: breaks a running product while records flow, and compares what it holds with an oracle."""
