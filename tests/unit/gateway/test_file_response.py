"""A file's child ends with its response, whatever becomes of the client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from services.gateway.files.export import _FileResponse
from services.gateway.files.formats import FileFormat
from services.gateway.middleware.slow_clients import SlowClientError


async def test_a_client_that_does_not_read_frees_the_child() -> None:
    ended = []

    async def parts() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            ended.append(True)

    sent = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) == 3:
            raise SlowClientError

    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing is read")

    rest = parts()
    first = await anext(rest)
    response = _FileResponse(first, rest, FileFormat.CSV, {})
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(SlowClientError):
        await response(scope, receive, send)
    assert ended == [True]
