"""The settings of ingest.configuration, followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from shared.access.keys import KeyState
from shared.access.signatures import is_genuine
from shared.configuration.settings import (
    Setting,
    Value,
    configuration_decoder,
)

MAX_BYTES = 1 << 20  # of a message
MAX_SETTINGS = 20_000
MAX_KNOWN = 200_000  # with those that were reset


def read_configuration(value: bytes | None) -> KeyState | Setting:
    """A message of the topic, not yet known to be genuine. Raises ValueError."""
    data = value or b""
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes are no setting")
    found: KeyState | Setting = configuration_decoder.decode(data)
    return found


class SettingLog:
    """The newest state of each setting. Pure.

    `on_change` is called after each one that counts.
    """

    def __init__(
        self,
        secret: str,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._secret = secret
        self._on_change = on_change
        self._settings: dict[str, Setting] = {}

    def saw(self, record: Any) -> None:
        """Of a follower of the topic; keys are others'. Raises ValueError."""
        found = read_configuration(record.value)
        if isinstance(found, Setting):
            self.take(found)

    def take(self, setting: Setting) -> None:
        """Raises ValueError for what is no setting of this installation."""
        if not is_genuine(setting, self._secret):
            raise ValueError(f"{setting.name} is signed by others")
        known = self._settings.get(setting.name)
        if known is None and self.is_full:
            raise ValueError(f"more than {MAX_SETTINGS} settings")
        if known is not None and setting.version < known.version:
            return  # brought back from before
        self._settings[setting.name] = setting
        self._on_change()

    @property
    def is_full(self) -> bool:
        known = len(self._settings)
        return self._count() >= MAX_SETTINGS or known >= MAX_KNOWN

    def _count(self) -> int:
        """Of those that have a value."""
        settings = self._settings.values()
        return sum(each.value is not None for each in settings)

    def get(self, name: str) -> Setting | None:
        return self._settings.get(name)

    def value(self, name: str) -> Value | None:
        """None: what `.env` says."""
        setting = self._settings.get(name)
        return setting.value if setting else None

    def of(self, kind: str) -> Iterator[tuple[str, Setting]]:
        """(the rest of its name, the setting) of those that have a value, by name."""
        beginning = f"{kind}/"
        for name in sorted(self._settings):
            setting = self._settings[name]
            if name.startswith(beginning) and setting.value is not None:
                yield name.removeprefix(beginning), setting
