"""CSV files below CSV_DIR, streamed, one stream a file.

Resumed by byte offset, row number and hash of what was read. What columns mean is inferred from the
page's context: the header, the lines before it, the first rows, and statistics over all rows of the
file (shared/csvfile). A file that cannot be understood is refused before its first page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.extractor.sources.base import (
    LeftOut,
    Slice,
    SourceConnector,
    StreamInfo,
)
from services.extractor.sources.csv_files.reader import FileReader
from shared.csvfile import folder, overrides
from shared.csvfile.folder import CsvFile, Root
from shared.csvfile.overrides import Overrides
from shared.csvfile.places import objects
from shared.csvfile.profile import LIMITS, Profiled, profiled
from shared.errors import TaskError
from shared.messages.base import Json, Source
from shared.runtime.confined import Confined

if TYPE_CHECKING:
    from services.extractor.sources.registry import SourceParts


class CsvFiles(SourceConnector):
    """Source `csv`; the dataset is the first folder below CSV_DIR, or the stem of a root file."""

    name = Source.CSV
    rereads_as_of_page = True
    may_spread = True

    def __init__(self, root: Root) -> None:
        self._root = root
        # A child that reads files of a disk needs no HTTP.
        of_place = [] if isinstance(root, Path) else [objects.__name__]
        self._confined = Confined([profiled.__module__, *of_place])

    def _look(self, file: CsvFile, given: Overrides) -> Profiled | None:
        """What a child process takes a file for. Blocks."""
        (found,) = self._confined.run(
            file.path, LIMITS, profiled, file, given
        )
        return found  # type: ignore[no-any-return]

    async def streams(self) -> list[StreamInfo]:
        return await asyncio.to_thread(self._list)

    def _list(self) -> list[StreamInfo]:
        return [
            StreamInfo(f"{self.name}/{file.path}", file.dataset)
            for file in overrides.wanted_files(self._root)
        ]

    def _mapping(self) -> overrides.MappingFile:
        """Empty where it is wrong: each task says so then."""
        try:
            return overrides.load(self._root)
        except TaskError:
            return overrides.MappingFile()

    async def left_out(self) -> list[LeftOut]:
        return await asyncio.to_thread(self._list_left_out)

    def _list_left_out(self) -> list[LeftOut]:
        mapping = self._mapping()
        return [
            _told(found)
            for found in folder.left_out(self._root)
            if not mapping.overrides_for(found.path).ignore
        ]

    def cursor_to_keep(self, cursor: Json) -> Json:
        """Without what the file is taken for."""
        # Nor is it known to be of this version: it is checked like any other.
        unknown = {"dialect": None, "version": None, "is_end": False}
        return {**cursor, **unknown}

    def nothing_configured(self) -> str:
        shown = f"CSV_DIR {str(self._root)!r}"
        if not isinstance(self._root, Path) or self._root.is_dir():
            return f"{shown} has no CSV file"
        return f"{shown} does not exist"

    async def fetch(
        self,
        info: StreamInfo,
        cursor: Any | None,
        *,
        resumed: bool = False,
    ) -> AsyncIterator[Slice]:
        path = info.stream.partition("/")[2]
        file = await asyncio.to_thread(folder.find, self._root, path)
        mapping = await asyncio.to_thread(overrides.load, self._root)
        given = mapping.overrides_for(path)
        slices = FileReader(file, given, self._look).slices(cursor)
        step: asyncio.Future[Slice | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(
                    asyncio.to_thread(next, slices, None)
                )
                piece = await asyncio.shield(step)
                if piece is None:
                    break
                yield piece
        finally:
            if step is None or step.done():
                await asyncio.to_thread(slices.close)
            else:
                # The thread is in the file still, and nobody waits for it.
                step.add_done_callback(partial(_close, slices))


def _close(
    slices: Generator[Slice, None, None],
    step: asyncio.Future[Slice | None],
) -> None:
    """Behind a step that was cancelled. Its error is of no use any more."""
    if not step.cancelled():
        step.exception()
    slices.close()


def _told(found: folder.LeftOut) -> LeftOut:
    sentence = f"{Source.CSV}: {found.sentence}"
    return LeftOut(sentence, found.is_missed)


def build(parts: SourceParts) -> CsvFiles:
    return CsvFiles(parts.settings.csv_root())
