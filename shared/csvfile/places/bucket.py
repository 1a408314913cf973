"""A bucket of an object storage that speaks S3: a prefix of it, listed, read by ranges.

What is read is read by a signed address (`objects`), so that the child process that looks at
foreign bytes needs no key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shared.csvfile.places.base import OnClosed, StoredFile
from shared.csvfile.places.objects import TIMEOUT_S, ObjectFile
from shared.errors import TaskError

SIGNED_FOR = timedelta(hours=12)  # the longest that a file may take
CONNECT_S = 5.0
PANIC = "PanicException"  # of obstore, for what it is not prepared for
_RETRY: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=TIMEOUT_S),
}
T = TypeVar("T")


@dataclass(frozen=True)
class Login:
    """Empty: what the environment or the machine's own role says, as for other programs."""

    key_id: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    region: str = ""
    endpoint: str = ""  # of another storage than Amazon's

    def options(self) -> dict[str, str]:
        given = {
            "access_key_id": self.key_id,
            "secret_access_key": self.secret,
            "token": self.token,
            "region": self.region,
            "endpoint": self.endpoint,
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class Bucket:
    """The objects below `url`, such as `s3://bucket/prefix`."""

    url: str
    login: Login

    @cached_property
    def store(self) -> S3Store:
        """Raises TaskError `storage_away` for an address or a login that it cannot be made with."""
        return self._asked(self._made)

    def _made(self) -> S3Store:
        is_plain = self.login.endpoint.startswith("http://")
        client: Any = {
            "allow_http": is_plain,
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=TIMEOUT_S),
        }
        options: Any = self.login.options()
        return S3Store.from_url(
            self.url,
            client_options=client,
            retry_config=_RETRY,
            **options,
        )

    def __str__(self) -> str:
        return self.url

    def __reduce__(self) -> tuple[type[Bucket], tuple[str, Login]]:
        """Without its connections."""
        return Bucket, (self.url, self.login)

    def walk(
        self, on_closed: OnClosed | None = None
    ) -> Iterator[StoredFile]:
        for found in sorted(self._listed(), key=_place):
            if not _path(found) or _is_hidden(_path(found)):
                continue  # without a path: the marker of the prefix itself
            yield self._file(found)

    def find(self, path: str) -> StoredFile | None:
        if not path or "\x00" in path or _is_hidden(path):
            return None
        # ValueError: no object can have such a name.
        with suppress(FileNotFoundError, ValueError):
            return self._file(self._asked(obstore.head, self.store, path))
        return None

    def why_closed(self, path: str) -> str | None:
        """Each object may be read, as far as the key may."""
        return None

    def text(self, name: str, at_most: int) -> bytes | None:
        try:
            found = self._asked(obstore.get, self.store, name)
            if found.meta["size"] > at_most:
                return bytes(at_most + 1)
            return bytes(self._asked(found.bytes))
        except FileNotFoundError:
            return None
        except TaskError as error:
            raise TaskError("bad_mapping", error.message) from error

    def _listed(self) -> Iterator[Any]:
        pages = iter(self._asked(obstore.list, self.store))
        while (page := self._asked(next, pages, None)) is not None:
            yield from page

    def _file(self, found: Any) -> StoredFile:
        path = _path(found)
        address = obstore.sign(self.store, "GET", path, SIGNED_FOR)
        return ObjectFile(path, address, found["size"], found["e_tag"])

    def _asked(self, call: Callable[..., T], *arguments: Any) -> T:
        """Raises FileNotFoundError, ValueError for an odd name, TaskError `storage_away`."""
        try:
            return call(*arguments)
        except (FileNotFoundError, ValueError):
            raise
        except BaseError as error:
            raise self._away(error) from error
        except BaseException as error:
            if type(error).__name__ != PANIC:
                raise
            raise self._away(error) from error

    def _away(self, error: BaseException) -> TaskError:
        message = f"{self.url} cannot be read: {said(error)}"
        return TaskError("storage_away", message)


def said(error: BaseException) -> str:
    """What the storage said, in one line."""
    reason = str(error).partition("\n")[0][:300]
    if "segment" in reason:
        reason += ": rename or remove this object, whose name no folder could have"
    return reason


def _path(found: Any) -> str:
    return cast("str", found["path"])


def _place(found: Any) -> list[tuple[bool, str]]:
    """The order of a folder: its files before what lies deeper."""
    *folders, name = _path(found).split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))
