"""Codes that open the console once, in place of the key, which no process list may show.

A code holds its end and a signature that only who has the key can make. So whoever has `.env` makes
one without asking, and each gateway takes it. The signature's secret is slow to derive: a code that
somebody has seen is no quick way to guess a weak key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from shared.identity.slow_hash import slow_hash

LIFETIME_S = 60
CLOCKS_S = 5  # that clocks may differ by
_SALT = b"crypto-ingest one-time code"
MAX_CODE = 200  # characters


def made(key: str, now: float) -> str:
    """A new code: end in seconds, something by chance, signature."""
    signed = f"{int(now) + LIFETIME_S}.{secrets.token_urlsafe(12)}"
    return f"{signed}.{_signature(key, signed)}"


def end_of(
    key: str, code: str, now: float, since: float = 0
) -> float | None:
    """Until when a code counts; None for one that does not.

    `since`: what was made before counts no more, since it is not known whether it was used.
    """
    signed, _, signature = code[:MAX_CODE].rpartition(".")
    expected = _signature(key, signed)
    if not hmac.compare_digest(
        signature.encode("utf-8", "replace"), expected.encode()
    ):
        return None
    end = int(signed.partition(".")[0])
    is_known = end - LIFETIME_S >= int(since)
    is_current = now < end <= now + LIFETIME_S + CLOCKS_S
    return end if is_known and is_current else None


def _signature(key: str, signed: str) -> str:
    text = signed.encode("utf-8", "replace")
    return hmac.new(
        slow_hash(key, _SALT, 32), text, hashlib.sha256
    ).hexdigest()
