"""An object, read by its signed address: by ranges, and in one version."""

from __future__ import annotations

import io
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import httpx

from shared.errors import TaskError

BUFFER = 1 << 20
CHUNK = 256 * 1024
TIMEOUT_S = 30.0
ATTEMPTS = 6  # to go on behind a connection that broke
FIRST_PAUSE_S = 0.1
PATIENCE_S = 60.0  # less than who waits for a child has
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_BUSY = {408, 429}
_REASONS = {
    401: "the key is not accepted",
    403: "the key may not read it, or its time is over",
    404: "it is not there any more",
    412: "it was replaced while it was read: ingest it again",
}


@dataclass(frozen=True)
class ObjectFile:
    """An object as it was when it was found: another version of it is not read in its place."""

    path: str
    address: str = field(repr=False)
    size: int
    version: str | None

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Reader(self), BUFFER)


class _Reader(io.RawIOBase):
    """One request from where it stands to the end; a new one where it was sought, or broke."""

    def __init__(self, file: ObjectFile) -> None:
        self._file = file
        self._client = httpx.Client(
            timeout=TIMEOUT_S, verify=ssl.create_default_context()
        )
        self._answer: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {
            io.SEEK_SET: 0,
            io.SEEK_CUR: self._at,
            io.SEEK_END: self._file.size,
        }[whence]
        wanted = max(0, base + offset)
        if wanted != self._at:
            self._hang_up()
            self._at = wanted
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Raises TaskError `unreadable_file` where the storage does not give it."""
        wanted = min(len(buffer), self._file.size - self._at)
        if wanted <= 0:
            return 0
        if not self._rest:
            self._rest = memoryview(self._more())
        taken = self._rest[:wanted]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        self._at += len(taken)
        return len(taken)

    def _more(self) -> bytes:
        """The next bytes, behind a connection that broke too."""
        reason = ""
        until = time.monotonic() + PATIENCE_S
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(FIRST_PAUSE_S * 2**attempt)
            if time.monotonic() > until:
                break
            try:
                if self._answer is None:
                    self._ask()
                if chunk := next(self._chunks, b""):
                    return chunk
                reason = "it ended early"
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            self._hang_up()
        message = (
            f"{self._file.path}: the object storage broke off: {reason}"
        )
        raise TaskError("storage_away", message)

    def _ask(self) -> None:
        headers = {
            "range": f"bytes={self._at}-",
            "accept-encoding": "identity",
        }
        if self._file.version:
            headers["if-match"] = self._file.version
        request = self._client.build_request(
            "GET", self._file.address, headers=headers
        )
        answer = self._client.send(request, stream=True)
        self._answer = answer
        status = answer.status_code
        if status in _BUSY or status >= 500:
            raise httpx.TransportError(f"it answered {status}")
        if not self._is_what_was_asked(answer):
            self._hang_up()
            known = f"the object storage answered {status} with something else"
            raise self._unreadable(_REASONS.get(status, known))
        self._chunks = answer.iter_raw(CHUNK)

    def _is_what_was_asked(self, answer: httpx.Response) -> bool:
        """The rest of this version, from here on; some storages do not know all that is asked."""
        tag = answer.headers.get("etag")
        if self._file.version and tag and tag != self._file.version:
            return False
        if answer.status_code == httpx.codes.OK:
            length = answer.headers.get("content-length")
            return self._at == 0 and length == str(self._file.size)
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            return False
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        return found is not None and (
            int(found[1]),
            int(found[2]),
        ) == (self._at, self._file.size)

    def _unreadable(self, reason: str) -> TaskError:
        return TaskError(
            "unreadable_file", f"{self._file.path}: {reason}"
        )

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._answer = None
        self._rest = memoryview(b"")

    def close(self) -> None:
        if not self.closed:
            self._hang_up()
            self._client.close()
        super().close()
