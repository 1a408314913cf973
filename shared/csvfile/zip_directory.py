"""How large the list of files in a zip is: the library reads all of it at once."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_END = b"PK\5\6"
_END_SIZE = 22
_MAX_COMMENT = 65_535
_LARGE_END = b"PK\6\6"
_LARGE_END_SIZE = 56
_LOCATOR_SIZE = 20
_IN_LARGE_END = 0xFFFFFFFF


def size_of(file: BinaryIO) -> int:
    """Bytes of the central directory; 0 where there is none. Leaves the file at its start."""
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_SIZE - _MAX_COMMENT))
        return _size_in(file.read())
    finally:
        file.seek(0)


def _size_in(tail: bytes) -> int:
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        return 0
    size: int = struct.unpack_from("<L", tail, at + 12)[0]
    large = at - _LOCATOR_SIZE - _LARGE_END_SIZE
    if large >= 0 and tail.startswith(_LARGE_END, large):
        return int(struct.unpack_from("<Q", tail, large + 40)[0])
    return size
