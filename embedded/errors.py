"""One clear line for whoever starts the stack."""


class StackError(Exception):
    """What is wrong, and which variable or command changes it."""
