"""Codes that open the console once, in place of the key, which no process list may show.

A code holds its end and a signature that only who has the key can make. So whoever has `.env` makes
one without asking, and each gateway takes it. The signature's secret is slow to derive: a code that
somebody has seen is no quick way to guess a weak key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache

LIFETIME_S = 60
MAX_CODE = 200  # characters


def made(key: str, now: float) -> str:
    """A new code: end in seconds, something by chance, signature."""
    signed = f"{int(now) + LIFETIME_S}.{secrets.token_urlsafe(12)}"
    return f"{signed}.{_signature(key, signed)}"


def end_of(key: str, code: str, now: float) -> float | None:
    """Until when a code counts; None for one that does not."""
    signed, _, signature = code[:MAX_CODE].rpartition(".")
    expected = _signature(key, signed)
    if not hmac.compare_digest(
        signature.encode("utf-8", "replace"), expected.encode()
    ):
        return None
    end = int(signed.partition(".")[0])
    return end if now < end <= now + LIFETIME_S else None


def _signature(key: str, signed: str) -> str:
    text = signed.encode("utf-8", "replace")
    return hmac.new(_secret(key), text, hashlib.sha256).hexdigest()


@lru_cache(maxsize=4)
def _secret(key: str) -> bytes:
    return hashlib.scrypt(
        key.encode("utf-8", "surrogateescape"),
        salt=b"crypto-ingest one-time code",
        n=2**14,
        r=8,
        p=1,
        dklen=32,
    )
