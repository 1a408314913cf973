"""Answers that are encoded by the gateway itself."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

MEDIA_TYPE = "application/json"


def as_json(body: Any, headers: dict[str, str] | None = None) -> Response:
    """Numbers that are `msgspec.Raw` stay as they are."""
    return encoded(msgspec.json.encode(body), headers)


def encoded(
    content: bytes, headers: dict[str, str] | None = None
) -> Response:
    return Response(content, media_type=MEDIA_TYPE, headers=headers)
