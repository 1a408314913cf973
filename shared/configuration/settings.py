"""A setting as ingest.configuration holds it: its value, or that `.env` counts again.

`feed/<name>`, `coins/<source>`, `pause/<what>`, `schedule/<name>`, `webhook/<name>` are its names.
Each is signed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from shared.access.keys import KeyState, Note
from shared.access.signatures import UNSIGNED, Hex
from shared.messages.base import Id, Message, Millis, Name, Total

MAX_COINS = 5_000
MAX_STREAMS = 1_000
MAX_CONDITIONS = 50
MAX_WINDOW_S = 86_400
EVERYTHING = "*"  # to pause


class Kind(StrEnum):
    """What a setting is of: the first part of its name."""

    FEED = "feed"
    COINS = "coins"
    PAUSE = "pause"
    SCHEDULE = "schedule"
    WEBHOOK = "webhook"

    def named(self, name: str) -> str:
        """The name of a setting."""
        return f"{self}/{name}"


class Missed(StrEnum):
    """What becomes of a time at which nobody could ask: left out, or the last one made up for."""

    SKIP = "skip"
    ONCE = "once"


class Direction(StrEnum):
    """To which side of a price."""

    ABOVE = "above"
    BELOW = "below"


class Event(StrEnum):
    """What happens, and a webhook may be told."""

    RUN_ENDED = "run.ended"
    RUN_FAILED = "run.failed"
    STREAM_FAILED = "stream.failed"


class Removed(Message, frozen=True, tag="Removed"):
    """There is none, although `.env` has one."""


class Feed(Message, frozen=True, tag="Feed"):
    """A feed to read, as the stream `rss/<name>`."""

    url: Name


class Coins(Message, frozen=True, tag="Coins"):
    """The coins of a source by its ids, or `["*"]`."""

    ids: Annotated[list[Name], msgspec.Meta(max_length=MAX_COINS)]


class Pause(Message, frozen=True, tag="Pause"):
    """What is paused is not read until it is resumed."""

    note: Note = ""


class Schedule(Message, frozen=True, tag="Schedule"):
    """When to ingest what: `cron` in a time zone, or every so many seconds.

    `sources` None: all. `history_days`: the days before, in place of what is current.
    """

    cron: Name | None = None
    timezone: Name = "UTC"
    every_s: Annotated[int, msgspec.Meta(ge=1)] | None = None
    sources: list[Name] | None = None
    streams: (
        Annotated[list[Name], msgspec.Meta(max_length=MAX_STREAMS)] | None
    ) = None
    history_days: Annotated[int, msgspec.Meta(ge=1, le=3660)] | None = (
        None
    )
    missed: Missed = Missed.ONCE
    note: Note = ""


class PriceCrosses(Message, frozen=True, tag="PriceCrosses"):
    """A price of a coin goes above or below `price`, as an exact number."""

    symbol: Name
    price: Name
    direction: Direction


class PriceChanges(Message, frozen=True, tag="PriceChanges"):
    """A price of a coin moves by so many percent within a time, up or down."""

    symbol: Name
    percent: Annotated[float, msgspec.Meta(gt=0, le=10_000)]
    within_s: Annotated[int, msgspec.Meta(ge=60, le=MAX_WINDOW_S)]


class MoodIs(Message, frozen=True, tag="MoodIs"):
    """A piece of news about a coin is at least so good, or at least so bad."""

    symbol: Name
    sentiment: Annotated[float, msgspec.Meta(ge=-1, le=1)]


class IsStale(Message, frozen=True, tag="IsStale"):
    """A source was read by no task without an error for so long."""

    source: Name
    after_s: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)]


Condition = PriceCrosses | PriceChanges | MoodIs | IsStale


class Webhook(Message, frozen=True, tag="Webhook"):
    """Where to tell what. `salt`: its secret follows from it and the installation's.

    `events`: beside conditions. `sources`: only of these, None: of all.
    """

    url: Name
    salt: Name
    events: list[Event] = []
    conditions: Annotated[
        list[Condition], msgspec.Meta(max_length=MAX_CONDITIONS)
    ] = []
    sources: list[Name] | None = None
    note: Note = ""


Value = Removed | Feed | Coins | Pause | Schedule | Webhook


class Setting(Message, frozen=True, tag="Setting"):
    """What one name stands for now. `value` None: what `.env` says.

    `version` counts its changes; `changed_by`: the id of the key, None for API_KEY.
    """

    name: Name
    version: Total
    value: Value | None
    changed_at: Millis
    changed_by: Id | None = None
    signature: Hex = UNSIGNED


configuration_decoder = msgspec.json.Decoder(KeyState | Setting)


class FirstValues(Message, frozen=True):
    """What `.env` says. `feeds`: addresses by name. `coins`: by source."""

    feeds: dict[Name, Name] = {}
    coins: dict[Name, list[Name]] = {}
    every_s: float | None = None
