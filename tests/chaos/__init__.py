"""`python -m tests.chaos`.

Breaks a running product while records flow, and compares what it holds with an oracle.
"""
