"""What every place of files can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

OF_OBJECTS = "s3://"  # how a place of objects begins
MAX_PATH = (
    400  # characters below CSV_DIR; a member's name comes on top of it
)
TOO_LONG = f"its path has more than {MAX_PATH} characters: shorten it"
OnClosed = Callable[[str, str], None]


class StoredFile(Protocol):
    """A file that may be read, by another process too.

    `path`: below the place. `version`: another one with every change of its content; None where
    the place does not tell.
    """

    @property
    def path(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    def open(self) -> BinaryIO:
        """To be read and sought in. Raises OSError, TaskError."""
        ...


class Place(Protocol):
    """Files by their paths below it, with `/` between the parts."""

    def walk(
        self, on_closed: OnClosed | None = None
    ) -> Iterator[StoredFile]:
        """All files, in the order of their names; hidden ones not.

        `on_closed`: called with the path of what cannot be listed, and the reason.
        """
        ...

    def find(self, path: str) -> StoredFile | None:
        """None where there is none below the place."""
        ...

    def why_closed(self, path: str) -> str | None:
        """Why a file that is there is not to be read, and what to do; None where it is."""
        ...

    def text(self, name: str, at_most: int) -> bytes | None:
        """Of a small file, at most `at_most` bytes and one; None where there is none.

        Raises TaskError `bad_mapping`.
        """
        ...
