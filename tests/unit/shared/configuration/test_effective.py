"""What counts of `.env` and of what was set at run time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from shared.access.signatures import signed
from shared.configuration.effective import Effective
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import (
    Coins,
    Feed,
    FirstValues,
    Pause,
    Removed,
    Schedule,
    Setting,
)
from shared.messages.serialization import encode

SECRET = "of this installation"
FIRST = FirstValues(
    feeds={"a": "http://a", "b": "http://b"},
    coins={"coinpaprika": ["btc-bitcoin"]},
    every_s=300,
)


def setting(name: str, value: Any, version: int = 1) -> Setting:
    found = Setting(name=name, version=version, value=value, changed_at=5)
    return signed(found, SECRET)


def effective(**settings: Any) -> Effective:
    log = SettingLog(SECRET)
    for name, value in settings.items():
        log.take(setting(name.replace("__", "/"), value))
    return Effective(lambda: FIRST, log)


def test_without_settings_env_counts() -> None:
    found = effective()
    assert found.feeds() == FIRST.feeds
    assert found.coins("coinpaprika") == ["btc-bitcoin"]
    assert found.coins("coingecko") == []
    assert found.schedules() == {"default": Schedule(every_s=300)}
    assert list(found.overridden()) == []


def test_settings_stand_above_env_until_they_are_reset() -> None:
    found = effective(
        feed__a=Removed(),
        feed__c=Feed(url="http://c"),
        coins__coinpaprika=Coins(ids=["*"]),
        schedule__default=Removed(),
        schedule__x=Schedule(cron="0 7 * * *"),
    )
    assert found.feeds() == {"b": "http://b", "c": "http://c"}
    assert found.coins("coinpaprika") == ["*"]
    assert list(found.schedules()) == ["x"]
    assert len(list(found.overridden())) == 3
    found.settings.take(setting("feed/a", None, 2))
    found.settings.take(setting("coins/coinpaprika", None, 2))
    found.settings.take(setting("schedule/default", None, 2))
    assert set(found.feeds()) == {"a", "b", "c"}
    assert found.coins("coinpaprika") == ["btc-bitcoin"]
    assert list(found.schedules()) == ["default", "x"]


def test_what_is_paused_says_why() -> None:
    found = effective(pause__rss=Pause(note="a leak"))
    assert found.why_paused("rss/a") == "rss is paused (a leak)"
    assert found.why_paused("rss") == "rss is paused (a leak)"
    assert found.why_paused("csv/a.csv") is None
    found.settings.take(setting("pause/csv/a.csv", Pause()))
    assert found.why_paused("csv/a.csv") == "csv/a.csv is paused"
    assert found.why_paused("csv/b.csv") is None
    found.settings.take(setting("pause/*", Pause()))
    assert found.why_paused("schedule/x") == "everything is paused"
    assert len(found.pauses()) == 3


def test_who_can_write_to_the_topic_configures_nothing() -> None:
    log = SettingLog(SECRET)
    real = setting("feed/a", Feed(url="http://a"))
    forged = (
        msgspec.structs.replace(real, value=Feed(url="http://evil")),
        msgspec.structs.replace(real, name="feed/b"),
        msgspec.structs.replace(real, version=9),
        signed(real, "another secret"),
    )
    for each in forged:
        with pytest.raises(ValueError, match="signed by others"):
            log.saw(SimpleNamespace(value=encode(each)))
    for value in (None, b"", b"[]", b"x" * 2_000_000):
        with pytest.raises(ValueError, match=r".+"):
            log.saw(SimpleNamespace(value=value))
    assert log.get("feed/a") is None


def test_a_state_of_before_is_not_brought_back() -> None:
    log = SettingLog(SECRET)
    log.take(setting("feed/a", Feed(url="http://new"), 2))
    log.take(setting("feed/a", Feed(url="http://old"), 1))
    assert log.value("feed/a") == Feed(url="http://new")
    log.take(setting("feed/a", Feed(url="http://other"), 2))
    assert log.value("feed/a") == Feed(url="http://other")
