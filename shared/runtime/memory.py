"""Memory that is no longer needed, given back in time.

Garbage in circles is looked for rarely (`lifecycle.tune_gc`), and a closed consumer of Kafka is
such a circle, with all that it had fetched. So it is looked for whenever the process has grown.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress

GROWTH = 16 << 20  # bytes


class Sweeper:
    """Collects garbage when the process has grown by so much since it was last done."""

    def __init__(self) -> None:
        self._before = resident()

    def sweep(self) -> None:
        """Takes some hundredths of a second where there is something to do."""
        now = resident()
        if now > self._before + GROWTH:
            give_back()
            self._before = resident()
        else:
            self._before = min(self._before, now)


def give_back() -> None:
    """Garbage, and what glibc keeps of freed memory; other libraries do that by themselves."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def resident() -> int:
    """Bytes; 0 where it is not known."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:  # noqa: PTH123  read every second
        return int(file.read().split()[1]) * resource.getpagesize()
