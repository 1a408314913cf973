"""Which CSV files there are, told soon: an object storage may take long to say."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shared.csvfile.folder import Root
from shared.csvfile.overrides import wanted
from shared.errors import TaskError
from shared.messages.base import Source
from shared.runtime import logs

KEPT_S = 5.0  # an answer of a storage, which costs a request or more
WAIT_S = 2.0  # for a storage; then what it said last counts
Given = dict[str, Any]
log = logs.get(__name__)


class FilesThere:
    """The streams of the source `csv`, as the place of its files has them."""

    def __init__(self, root: Root) -> None:
        self.root = root
        # Of its own: a storage that hangs must hold up nothing else.
        self._thread = ThreadPoolExecutor(1)
        self._asking: asyncio.Future[dict[str, Given]] | None = None
        self._asked_at = float("-inf")
        self._known: dict[str, Given] | None = None

    async def streams(self) -> set[str] | None:
        """None where nobody has told yet."""
        given = await self.given()
        return None if given is None else set(given)

    async def given(self) -> dict[str, Given] | None:
        """What mapping.yaml says about each, by its stream. None where nobody has told yet."""
        if isinstance(self.root, Path):
            return await asyncio.to_thread(_given, self.root)
        if (
            self._asking is None
            and time.monotonic() > self._asked_at + KEPT_S
        ):
            self._ask()
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=WAIT_S)
        return self._known

    def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        self._asking = loop.run_in_executor(
            self._thread, _given, self.root
        )
        self._asking.add_done_callback(self._answered)

    def _answered(self, asked: asyncio.Future[dict[str, Given]]) -> None:
        self._asking = None
        self._asked_at = time.monotonic()
        if asked.cancelled():
            return
        error = asked.exception()
        if error is None:
            self._known = asked.result()
        elif isinstance(error, TaskError):
            log.warning("files_not_listed", error=error.message)
        else:
            log.error("files_not_listed", exc_info=error)


def _given(root: Root) -> dict[str, Given]:
    return {
        f"{Source.CSV}/{file.path}": overrides.given()
        for file, overrides in wanted(root)
    }
