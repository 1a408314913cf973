"""A TCP proxy on loopback whose connections can be cut and slowed down."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

CHUNK = 64 * 1024


class Proxy:
    """Listens on a port of its own and passes everything on to `target`. Runs in a thread."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._bytes_per_s = 0.0  # 0: as fast as it goes
        self._is_open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def cut(self) -> None:
        """Break every connection that is open."""
        self._loop.call_soon_threadsafe(self._abort)

    def open(self) -> None:
        """Undo `close`."""
        self._is_open = True

    def close(self) -> None:
        """Let nothing through until `open`."""
        self._is_open = False
        self.cut()

    def slow(self, bytes_per_s: float) -> None:
        """Pass on at most so much in each direction of each connection; 0 ends it."""
        self._bytes_per_s = bytes_per_s

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port)
        )
        self._ready.set()
        self._loop.run_forever()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not self._is_open:
            writer.transport.abort()
            return
        try:
            upstream, back = await asyncio.open_connection(
                "127.0.0.1", self._target
            )
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(
                self._pass(reader, back), self._pass(upstream, writer)
            )
        finally:
            self._writers -= {writer, back}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: Any
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._bytes_per_s:
                    await asyncio.sleep(len(data) / self._bytes_per_s)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
