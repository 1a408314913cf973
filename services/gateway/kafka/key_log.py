"""The keys that are kept on ingest.configuration, followed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from shared.access.keys import KeyState, digest_of
from shared.access.signatures import is_genuine

MAX_KEYS = 10_000  # that count
BEHIND_S = 10.0
# With those that were revoked, of which it must be known for ever.
MAX_KNOWN = 100_000


class KeyLog:
    """What is told of keys. Pure; the clock is handed in.

    `is_known`: the topic was read to its end once.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._states: dict[str, KeyState] = {}
        self._by_digest: dict[str, str] = {}
        self._used_at: dict[str, float] = {}
        self._untold: set[str] = set()  # ids of keys that were used since
        self.is_known = False
        self.followed_at = float("-inf")  # when Kafka answered last

    def take(self, state: KeyState) -> None:
        """Raises ValueError for what is no key of this installation."""
        if not is_genuine(state, self._secret):
            raise ValueError(
                f"the key {state.key_id} is signed by others"
            )
        known = self._states.get(state.key_id)
        if known is not None and known.revoked_at is not None:
            return  # what is revoked stays so
        if known is None and len(self._states) >= MAX_KNOWN:
            raise ValueError(f"more than {MAX_KNOWN} keys")
        self._states[state.key_id] = state
        self._by_digest[state.digest] = state.key_id

    def find(self, key: str, now: float) -> KeyState | None:
        """The state of a key, whether or not it counts still; notes that it was used."""
        key_id = self._by_digest.get(digest_of(key))
        if key_id is None:
            return None
        self._used_at[key_id] = now
        self._untold.add(key_id)
        return self._states[key_id]

    def is_behind(self, now: float) -> bool:
        """Whether a key may have been revoked without a word of it here."""
        return now - self.followed_at > BEHIND_S

    @property
    def is_full(self) -> bool:
        """Whether no more can be made."""
        return self._count() >= MAX_KEYS or len(self._states) >= MAX_KNOWN

    def _count(self) -> int:
        """Of keys that were not revoked."""
        states = self._states.values()
        return sum(state.revoked_at is None for state in states)

    def get(self, key_id: str) -> KeyState | None:
        return self._states.get(key_id)

    def used_at(self, key_id: str) -> datetime | None:
        """When this gateway saw it last."""
        seen = self._used_at.get(key_id)
        return None if seen is None else datetime.fromtimestamp(seen, UTC)

    def take_untold(self) -> dict[str, int]:
        """When each was used that was used since the last call, in milliseconds."""
        untold, self._untold = self._untold, set()
        return {key: round(self._used_at[key] * 1000) for key in untold}

    def all(self) -> Iterator[KeyState]:
        """The newest first."""
        yield from sorted(
            self._states.values(),
            key=lambda state: (state.made_at, state.key_id),
            reverse=True,
        )
