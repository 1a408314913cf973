"""What all messages share: frozen and typed, with the vocabulary of sources and stages.

Compatibility: a field is only ever added, with a default. A reader ignores fields that it does not
know, so that two versions of a service can run side by side. Times are ISO 8601 texts in UTC;
numbers of money are texts, exact.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec

SCHEMA_VERSION = 2
MAX_PAGE_RECORDS = 1000
MAX_PAGE_BYTES = 512 * 1024  # of raw records as JSON
MAX_PAYLOAD = (
    64 * 1024
)  # of a dead letter: characters of a text, else bytes
REPLAY = (
    "replay"  # in place of a source: in tasks that read raw pages again
)
MESSAGES = "messages"  # in place of a source: in runs that forward messages of no page
Json = dict[str, Any]
# A UUID in its usual form: PostgreSQL, which stores them, must not meet anything else.
Id = Annotated[
    str,
    msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
]

# What a foreign message may say: more would not fit where it is stored, or into memory.
MAX_STREAM = 1_000  # characters of its name
# PostgreSQL stores no NUL in a text.
Name = Annotated[
    str, msgspec.Meta(max_length=MAX_STREAM, pattern="^[^\\x00]*$")
]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Total = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
SeriesId = Annotated[int, msgspec.Meta(ge=1, le=(1 << 31) - 1)]
Partition = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Offset = Annotated[int, msgspec.Meta(ge=-1, le=1 << 62)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class Source(StrEnum):
    """A kind of connector, one line each.

    `module`: its name among the extractor's sources and the normalizer's mappings.
    `shares_call_budget`: its streams share a partition, so that one extractor counts its calls.
    """

    COINPAPRIKA = "coinpaprika", "coinpaprika", True
    COINGECKO = "coingecko"
    CSV = "csv", "csv_files"
    RSS = "rss", "feeds"

    module: str
    shares_call_budget: bool

    def __new__(
        cls,
        name: str,
        module: str = "",
        shares_call_budget: bool = False,  # noqa: FBT001,FBT002  an enum's value is a tuple
    ) -> Self:
        source = str.__new__(cls, name)
        source._value_ = name
        source.module = module or name
        source.shares_call_budget = shares_call_budget
        return source


class Stage(StrEnum):
    """Where a record was rejected."""

    EXTRACT = "extract"
    MAP = "map"
    LOAD = "load"
    NOTIFY = "notify"


class Message(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True
):
    """Base of all messages."""
