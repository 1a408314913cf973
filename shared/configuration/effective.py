"""What counts: `.env`, and above it what was set at run time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import (
    EVERYTHING,
    Coins,
    Feed,
    FirstValues,
    Kind,
    Pause,
    Removed,
    Schedule,
)
from shared.messages.base import Source

DEFAULT_SCHEDULE = "default"  # the one of INGEST_EVERY_S
VARIABLES = {
    Source.COINPAPRIKA: "COIN_IDS",
    Source.COINGECKO: "COINGECKO_IDS",
}


class Effective:
    """`first`: what `.env` says; asked again each time, since an API is told it late."""

    def __init__(
        self, first: Callable[[], FirstValues], settings: SettingLog
    ) -> None:
        self._first = first
        self.settings = settings

    @property
    def first(self) -> FirstValues:
        return self._first()

    def feeds(self) -> dict[str, str]:
        """The address of each feed by its name."""
        found = dict(self.first.feeds)
        for name, setting in self.settings.of(Kind.FEED):
            if isinstance(setting.value, Feed):
                found[name] = setting.value.url
            else:
                found.pop(name, None)
        return found

    def coins(self, source: str) -> list[str]:
        value = self.settings.value(Kind.COINS.named(source))
        if isinstance(value, Coins):
            return value.ids
        return self.first.coins.get(source, [])

    def schedules(self) -> dict[str, Schedule]:
        """By name; that of INGEST_EVERY_S is `default`."""
        found: dict[str, Schedule] = {}
        if self.first.every_s:
            found[DEFAULT_SCHEDULE] = Schedule(
                every_s=round(self.first.every_s)
            )
        for name, setting in self.settings.of(Kind.SCHEDULE):
            if isinstance(setting.value, Schedule):
                found[name] = setting.value
            else:
                found.pop(name, None)
        return found

    def active_schedules(self) -> list[Schedule]:
        """Those that are not paused."""
        return [
            schedule
            for name, schedule in self.schedules().items()
            if self.why_paused(Kind.SCHEDULE.named(name)) is None
        ]

    def set_at(self, name: str) -> int:
        """When a setting was changed last, in milliseconds; 0: never."""
        setting = self.settings.get(name)
        return setting.changed_at if setting else 0

    def pauses(self) -> dict[str, Pause]:
        """By what is paused: everything, a source, a stream, `schedule/<name>`."""
        return {
            name: setting.value
            for name, setting in self.settings.of(Kind.PAUSE)
            if isinstance(setting.value, Pause)
        }

    def why_paused(self, name: str) -> str | None:
        """A sentence where a stream, a source or `schedule/<name>` is paused."""
        source = name.partition("/")[0]
        for what in (EVERYTHING, source, name):
            value = self.settings.value(Kind.PAUSE.named(what))
            if isinstance(value, Pause):
                shown = "everything" if what == EVERYTHING else what
                note = f" ({value.note})" if value.note else ""
                return f"{shown} is paused{note}"
        return None

    def overridden(self) -> Iterator[str]:
        """A sentence for each line of `.env` that does not count as it stands there."""
        yield from self._overridden_coins()
        yield from self._overridden_feeds()
        value = self.settings.value(Kind.SCHEDULE.named(DEFAULT_SCHEDULE))
        if isinstance(value, Schedule | Removed):
            yield "INGEST_EVERY_S: the schedule `default` was set at run time"

    def _overridden_coins(self) -> Iterator[str]:
        for source, variable in VARIABLES.items():
            kept = self.coins(source)
            if kept != self.first.coins.get(source, []):
                yield f"{variable}: {len(kept)} coins were set at run time"

    def _overridden_feeds(self) -> Iterator[str]:
        feeds, first = self.feeds(), self.first.feeds
        if feeds != first:
            new = len(feeds.keys() - first.keys())
            gone = len(first.keys() - feeds.keys())
            yield f"RSS_FEEDS: at run time {new} were added and {gone} taken out"
