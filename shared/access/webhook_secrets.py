"""The secrets of webhooks, and signatures with them, as Standard Webhooks has them.

A secret follows from that of the installation, so that it lies nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from shared.identity.slow_hash import slow_hash

PREFIX = "whsec_"
_SALT = b"crypto-ingest webhooks"


def secret_of(installation: str, name: str, salt: str) -> str:
    """`whsec_…`: as those who are told know it."""
    key = hmac.new(
        slow_hash(installation, _SALT, 32),
        f"{name}\0{salt}".encode(),
        hashlib.sha256,
    ).digest()
    return PREFIX + base64.b64encode(key).decode()


def signed_headers(
    secret: str, message_id: str, at: int, body: bytes
) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` (seconds), `webhook-signature` of a delivery."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{message_id}.{at}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }
