"""A hash that is slow to guess a weak secret from."""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=8)
def slow_hash(secret: str, salt: bytes, length: int = 64) -> bytes:
    """The same for the same salt, which says what it is for; so many bytes."""
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogateescape"),
        salt=salt,
        n=2**14,
        r=8,
        p=1,
        dklen=length,
    )
