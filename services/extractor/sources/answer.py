"""What a server answered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.values.urls import without

KEPT_HEADERS = (
    "content-type",
    "last-modified",
    "etag",
    "date",
    "cache-control",
    "age",
)
MAX_SECRET = 4_096


@dataclass(frozen=True)
class Answer:
    """A complete answer.

    `url`: where it came from after redirects, without secrets. `headers`: by their names in small
    letters. `moved_to`: where to ask from now on (301, 308). `secrets`: what was sent and must not
    be told, also where the server repeats it.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    moved_to: str | None = None
    secrets: frozenset[str] = frozenset()

    def shown(self, size: int) -> str:
        """The beginning of the body, for people."""
        # Hidden before it is cut: half a secret would not be recognized.
        text = self.body[: size + MAX_SECRET].decode("utf-8", "replace")
        return without(self.secrets, text)[:size].strip()

    def origin(self) -> dict[str, Any]:
        """What the audit trail keeps of the fetch."""
        return {
            "url": self.url,
            "status": self.status,
            "headers": picked(self.headers, KEPT_HEADERS),
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "bytes": len(self.body),
        }


def picked(
    headers: Mapping[str, str], names: Iterable[str]
) -> dict[str, str]:
    """Those of these headers that are there."""
    return {name: headers[name] for name in names if name in headers}
