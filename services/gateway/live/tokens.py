"""Places in the changes of one database, as opaque texts."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass

from services.gateway.problems import field_problem

INCARNATION_BYTES = 8
PATTERN = "^(oldest|now|[A-Za-z0-9_-]{28})$"
_FORMAT = f">{INCARNATION_BYTES}sQIx"
_SIZE = struct.calcsize(_FORMAT)
_MOST = 2**63 - 2
_MOST_POINTS = 2**31 - 1  # of one change


@dataclass(frozen=True)
class Place:
    """Behind `seq` changes, and behind `index` data points of the next one.

    `incarnation`: of the database. A database that was restored has another one: its numbers come
    again for other changes.
    """

    incarnation: bytes
    seq: int
    index: int = 0

    def encode(self) -> str:
        raw = struct.pack(_FORMAT, self.incarnation, self.seq, self.index)
        return base64.urlsafe_b64encode(raw).decode()

    @classmethod
    def decode(cls, text: str, field: str) -> Place:
        """Raises ProblemError 422 for what no `encode` has written."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        place = None
        if len(raw) == _SIZE:
            place = cls(*struct.unpack(_FORMAT, raw))
        if (
            place is None
            or place.seq > _MOST
            or place.index > _MOST_POINTS
        ):
            raise field_problem(
                field,
                "is no token of this API: take `next` of an answer, `oldest` or `now`",
            )
        return place
