"""CSV files below CSV_DIR, streamed, one stream a file. Resumed by byte offset, row number and hash of what was read.

What columns mean is the normalizer's to say, from the page's context: the header, the lines before it, and the first rows
of the file as evidence.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

from services.extractor.sources.base import Slice, StreamInfo
from services.extractor.sources.csv_reader import FileReader
from shared.errors import TaskError
from shared.events import Source


class CsvFiles:
    """Source `csv`; the dataset is the first folder below CSV_DIR, or the stem of a file in the root."""

    name = Source.CSV

    def __init__(self, root: Path) -> None:
        self._root = root

    async def streams(self) -> list[StreamInfo]:
        return await asyncio.to_thread(self._list)

    def nothing_configured(self) -> str:
        return f"CSV_DIR {str(self._root)!r} has no *.csv file" if self._root.is_dir() else f"CSV_DIR {str(self._root)!r} does not exist"

    def _list(self) -> list[StreamInfo]:
        root = self._root.resolve()
        found = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if name.lower().endswith(".csv") and not name.startswith(".") and self._is_inside(path, root):
                    relative = PurePosixPath(path.relative_to(root).as_posix())
                    dataset = relative.parts[0] if len(relative.parts) > 1 else relative.stem
                    found.append(StreamInfo(f"{self.name}/{relative}", dataset))
        return found

    @staticmethod
    def _is_inside(path: Path, root: Path) -> bool:
        """A link out of the folder is refused; so are names that are not UTF-8, which no message could carry."""
        try:
            str(path).encode()
            return path.resolve(strict=True).is_relative_to(root) and path.is_file()
        except (OSError, RuntimeError, UnicodeEncodeError):  # RuntimeError: a link to itself
            return False

    async def fetch(self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False) -> AsyncIterator[Slice]:
        relative = info.stream.partition("/")[2]
        try:
            file = await asyncio.to_thread((self._root / relative).open, "rb")
        except OSError as error:
            raise TaskError("unreadable_file", f"{relative}: {error.strerror}") from error
        with file:
            slices = FileReader(file, relative).slices(cursor)
            while (piece := await asyncio.to_thread(next, slices, None)) is not None:
                yield piece
