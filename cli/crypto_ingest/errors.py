"""What ends a command, each with an exit code of its own.

0: done. 1: the run failed, or the doctor found what must be mended. 2: wrong use. 3: the API
refused. 4: it cannot be reached, or is not able to answer now. 130: Ctrl-C.
"""

from __future__ import annotations

FAILED = 1
WRONG_USE = 2
REFUSED = 3
UNAVAILABLE = 4
INTERRUPTED = 130


class CommandError(Exception):
    """A line for people, and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
