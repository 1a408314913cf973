"""Places in ordered lists, as opaque texts, and the links that carry them."""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.gateway.problems import ProblemError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Position:
    """A place in the order (timestamp DESC, id DESC). As text it is opaque to users."""

    timestamp: datetime
    id: uuid.UUID

    def encode(self) -> str:
        micros = (self.timestamp - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(struct.pack(">q", micros) + self.id.bytes).decode()

    @classmethod
    def decode(cls, text: str) -> Position:
        """Raises ProblemError 422 for what no `encode` has written."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) != 24:
            raise ProblemError(
                422,
                "query.cursor: not a cursor of this API: take it from a Link header",
                errors=[{"field": "query.cursor", "message": "not a cursor"}],
            )
        try:
            moment = _EPOCH + timedelta(microseconds=struct.unpack(">q", raw[:8])[0])
        except OverflowError:  # forged, but a time all the same
            moment = datetime.max.replace(tzinfo=UTC) if raw[0] < 128 else datetime.min.replace(tzinfo=UTC)
        return cls(moment, uuid.UUID(bytes=raw[8:]))
