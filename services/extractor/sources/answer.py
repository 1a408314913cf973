"""What a server answered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

KEPT_HEADERS = (
    "content-type",
    "last-modified",
    "etag",
    "date",
    "cache-control",
    "age",
)


@dataclass(frozen=True)
class Answer:
    """A complete answer.

    `url`: where it came from after redirects, without secrets. `headers`: by their names in small
    letters. `moved_to`: where to ask from now on (301, 308).
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    moved_to: str | None = None

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
