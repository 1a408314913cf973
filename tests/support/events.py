"""Reading server-sent events, as their standard says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx


def events(
    answer: httpx.Response,
) -> Iterator[tuple[str, str | None, Any]]:
    """(name, id, data) of each event that is whole."""
    name, id_, data = "message", None, ""
    for line in answer.iter_lines():
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "id":
                id_ = value
            case "data":
                data += value
            case "" if not line and data:
                yield name, id_, json.loads(data)
                name, id_, data = "message", None, ""
            case _:
                pass
