"""What a source offers to the extractor, and the slices that it yields.

A source knows nothing of Kafka, runs or pages. It lists its streams and fetches one of them from a
cursor on.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

import msgspec

from services.extractor.sources.answer import Answer
from shared.configuration.effective import Effective
from shared.errors import TaskError
from shared.messages.asked import Asked
from shared.messages.base import (
    MAX_PAGE_BYTES,
    MAX_PAGE_RECORDS,
    MAX_PAYLOAD,
    Json,
    Source,
    Stage,
)
from shared.messages.pages import Rejection
from shared.messages.serialization import (
    encode,
    exact_decoder,
    exact_number,
)


@dataclass(frozen=True)
class StreamInfo:
    """A stream as the planner sees it. `stream` starts with the source's name and a slash."""

    stream: str
    dataset: str


@dataclass(frozen=True)
class LeftOut:
    """What is there and not read. `sentence`: what it is, and what to do.

    `is_missed`: it should have been read, so that a run without it has not succeeded.
    """

    sentence: str
    is_missed: bool = False


@dataclass(frozen=True)
class Slice:
    """Records that become one page, and where the stream stands after them.

    A slice without records and rejections moves the cursor only. `note` is a sentence for the run's
    report, `profile` what the stream was taken for, and why. `asked`: the times that the source was
    asked for, with the last slice of the answer. `is_unique`: in all of a stream that is read from
    its start no other record is of the same data point, so that their order says nothing.
    """

    records: list[Any]
    cursor_after: Any
    context: Json = field(default_factory=dict)
    origin: Json = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    note: str | None = None
    profile: Json | None = None
    asked: list[Asked] = field(default_factory=list)
    is_unique: bool = False


class SourceConnector(ABC):
    """A source. Errors: `TaskError` fails the task and leaves its checkpoint where it is.

    `is_optional`: nobody needs to set it up, so that a run does not mention that it has no streams.
    `rereads_as_of_page`: what is read again for a lost page is as old as that page (a file), not
    new (a live source). `may_spread`: pages of a long stream may be processed side by side in
    several partitions.
    """

    name: Source
    is_optional = False
    rereads_as_of_page = False
    may_spread = False

    @abstractmethod
    async def streams(self) -> list[StreamInfo]:
        """The streams that are configured."""

    @abstractmethod
    def nothing_configured(self) -> str:
        """Why there may be no streams, and which variable changes it."""

    async def left_out(self) -> list[LeftOut]:
        """What is there and not read."""
        return []

    @abstractmethod
    def fetch(
        self,
        info: StreamInfo,
        cursor: Any | None,
        *,
        resumed: bool = False,
    ) -> AsyncIterator[Slice]:
        """Yield what is new since `cursor` (None: everything).

        `resumed`: the cursor is where this very task was interrupted.
        """

    def asked_in_vain(
        self, _info: StreamInfo, _cursor: Any | None, _reason: str
    ) -> list[Asked]:
        """The times that were asked for when the task failed, with the code of its error."""
        return []

    def cursor_to_keep(self, cursor: Json) -> Json:
        """A cursor that somebody sets, without what the source finds out itself.

        Else who may move a checkpoint could say what records mean and where they come from.
        """
        return cursor

    def configure(self, _effective: Effective) -> None:  # noqa: B027  a file source has none
        """Take what can be configured at run time as it is now."""

    def find(self, stream: str) -> StreamInfo | None:
        """A stream that is not listed and can be asked for by its name."""
        return None

    def history(self, start: date, end: date) -> list[StreamInfo]:
        """The streams of the days from `start` to before `end`."""
        return []


async def find_stream(
    sources: Mapping[str, SourceConnector], source: str, stream: str
) -> tuple[SourceConnector, StreamInfo]:
    """A stream and who can fetch it. Raises TaskError `unknown_stream`."""
    connector = sources.get(source)
    if connector is not None:
        for info in await connector.streams():
            if info.stream == stream:
                return connector, info
        found = connector.find(stream)
        if found is not None:
            return connector, found
    raise TaskError(
        "unknown_stream", f"the stream {stream!r} is not there any more"
    )


def clean(value: Any) -> Any:
    """Replace what JSONB cannot hold (NUL, lone surrogates) by U+FFFD, in keys and values."""
    if isinstance(value, str):
        text = value.replace("\x00", "\ufffd")
        return text.encode("utf-16", "surrogatepass").decode(
            "utf-16", "replace"
        )
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return value


def canonical(value: Any) -> tuple[bytes, bool]:
    """A value as the JSON that topic and table both hold, and whether it was repaired for that."""
    try:
        encoded = encode(value)
        if b"\\u0000" not in encoded:
            return encoded, False
    except UnicodeEncodeError:
        pass
    repaired = clean(value)
    return encode(repaired), repaired != value


def parse_json(answer: Answer, what: str) -> Any:
    """Decode JSON exactly (fractions as Decimal).

    Raises TaskError `contract` saying what came instead.
    """
    body = answer.body
    try:
        return exact_decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        first = error
    try:  # lone surrogates, which msgspec refuses and `canonical` repairs
        return json.loads(
            body, parse_float=exact_number, parse_constant=_no_constants
        )
    except (ValueError, RecursionError):
        message = f"{what} did not answer with JSON ({first}); it begins {answer.shown(80)!r}"
        raise TaskError("contract", message) from None


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def paginate(
    records: list[Any],
) -> Iterator[tuple[list[Any], list[Rejection]]]:
    """Cut records into pages of at most 1,000 records and 512 KiB.

    A record that no page can hold is rejected.
    """
    page: list[Any] = []
    rejections: list[Rejection] = []
    size = 0
    for record in records:
        encoded = canonical(record)[0]
        length = len(encoded)
        if length > MAX_PAGE_BYTES:
            rejections.append(_too_large(encoded))
            continue
        if page and not _has_room(page, size + length):
            yield page, rejections
            page, rejections, size = [], [], 0
        page.append(record)
        size += length
    if page or rejections:
        yield page, rejections


def _has_room(page: list[Any], size: int) -> bool:
    return len(page) < MAX_PAGE_RECORDS and size <= MAX_PAGE_BYTES


def _too_large(encoded: bytes) -> Rejection:
    return Rejection(
        reason="record_too_large",
        message=f"the record has {len(encoded)} bytes, a page holds {MAX_PAGE_BYTES}",
        payload=encoded[:MAX_PAYLOAD].decode("utf-8", "replace"),
        payload_sha256=hashlib.sha256(encoded).hexdigest(),
        stage=Stage.EXTRACT,
    )
