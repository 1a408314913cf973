"""Questions about data asked of a standby, as long as it is not too far behind.

How far it is behind follows from what was written when: each look asks the primary how far its log
reaches, and the standby how much of it it has replayed. No clock is compared with another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.gateway.database import (
    DATABASE_UNAVAILABLE,
    BusyError,
    Database,
)
from services.gateway.requests.kept_answers import KeptAnswers
from services.gateway.settings import GatewaySettings
from shared.runtime import logs

LOOK_EVERY_S = 0.5
LOOK_TIMEOUT_S = 3.0
MAX_LOOKS = 10_000  # that are remembered, while the standby stands still
SIDE = "side"  # of a request's scope: where its questions go
# A standby that follows another timeline has other data at the same place of the log. The primary
# knows its own at once, a standby some minutes after another took over.
_SELECT_PLACE = """
SELECT (SELECT system_identifier FROM pg_control_system()) AS cluster,
       CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
           AS timeline,
       pg_is_in_recovery() AS is_standby,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'
            ELSE pg_current_wal_lsn() - '0/0' END::bigint AS reached
"""
# A preview stores what it found when it is published, after its end.
_HAS_ENDED = """
SELECT EXISTS (SELECT FROM runs WHERE run_id = $1::uuid AND finished_at IS NOT NULL
               AND preview IS DISTINCT FROM 'open') AS is_there
"""
_HAS_CHANGE = """
SELECT coalesce((SELECT last >= $1::bigint FROM change_position), false) AS is_there
"""
# A query may be broken off for what the standby replays.
_FAILS = (*DATABASE_UNAVAILABLE, asyncpg.SerializationError)
log = logs.get(__name__)


@dataclass(frozen=True)
class Side:
    """One server: its pools, and the answers that were made from it."""

    dsn: str
    database: Database
    questions: Database
    data_answers: KeptAnswers[Any]
    ohlcv_answers: KeptAnswers[Any]


class StandbyDatabase(Database):
    """Asks the primary what the standby does not answer."""

    def __init__(
        self,
        settings: GatewaySettings,
        size: int,
        primary: Database,
        lost: Callable[[], None],
    ) -> None:
        super().__init__(settings, size, settings.read_url())
        self._primary = primary
        self._lost = lost

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        try:
            return await super().rows(query, *arguments)
        except asyncpg.QueryCanceledError:
            raise  # it took too long, as it would at the primary
        except _FAILS as error:
            log.warning("standby_failed", error=repr(error))
            if not isinstance(error, asyncpg.SerializationError):
                self._lost()
            return await self._primary.rows(query, *arguments)


class Replica:
    """A standby, and how far it is behind."""

    def __init__(
        self, settings: GatewaySettings, probes: Database
    ) -> None:
        """`probes`: of the primary."""
        self._max_age_s = settings.read_max_age_s
        self._probes = probes
        self._own = Database(settings, 1, settings.read_url())
        self._written: deque[tuple[float, int]] = deque(maxlen=MAX_LOOKS)
        self._log_of: tuple[int, int] | None = None
        self._fresh_at: float | None = None
        self._why_not = "nothing is known of it yet"

    def lost(self) -> None:
        """It does not answer: it is not asked until a look finds it again."""
        self._leave("it cannot be reached")

    def _leave(self, why_not: str) -> None:
        self._fresh_at = None
        self._why_not = why_not

    def age_s(self) -> float | None:
        """What was written until so long ago is there. None: it is not to be asked."""
        if self._fresh_at is None:
            return None
        age = time.monotonic() - self._fresh_at
        return age if age <= self._max_age_s else None

    def reason(self) -> str | None:
        """Why it is not asked, as a code and a sentence."""
        if self.age_s() is not None:
            return None
        why = self._why_not
        if self._fresh_at is not None:
            why = self._too_old(time.monotonic() - self._fresh_at)
        return f"standby_unused: the primary is asked instead of DATABASE_READ_URL: {why}"

    def _too_old(self, age_s: float) -> str:
        return f"it is {age_s:.0f} s behind, READ_MAX_AGE_S allows {self._max_age_s:g}"

    async def has_ended(self, run_id: str) -> bool:
        """Whether the standby shows that a run has ended, and with it all that the run stored."""
        return await self._shows(_HAS_ENDED, run_id)

    async def has_change(self, seq: int) -> bool:
        """Whether the standby shows so many changes."""
        return await self._shows(_HAS_CHANGE, seq)

    async def _shows(self, query: str, argument: Any) -> bool:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                row = await self._own.row(query, argument)
        except (asyncpg.DataError, BusyError):
            return False
        except _FAILS as error:
            log.warning("standby_failed", error=repr(error))
            self.lost()
            return False
        return bool(row and row["is_there"])

    async def keep_watched(self) -> None:
        """Look again and again, until cancelled."""
        await self._own.start()
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await self._own.close()

    async def _look(self) -> None:
        """Where the primary does not answer, it grows older."""
        began = time.monotonic()
        there = await _place_of(self._probes)
        here = await _place_of(self._own)
        if here is None:
            self.lost()
        elif there is not None:
            self._saw(began, there, here)

    def _saw(self, began: float, there: Any, here: Any) -> None:
        if there["is_standby"]:
            return  # one takes over just now
        own_log = (there["cluster"], there["timeline"])
        if own_log != self._log_of:
            self._written.clear()
            self._log_of = own_log
        if not here["is_standby"]:
            self._leave("it is no standby")
            return
        if (here["cluster"], here["timeline"]) != own_log:
            self._leave(
                "it follows another database, or not yet the one that took over"
            )
            return
        self._written.append((began, there["reached"]))
        while self._written and self._written[0][1] <= here["reached"]:
            self._fresh_at = self._written.popleft()[0]


async def _place_of(server: Database) -> Any:
    """None where it does not answer."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await server.row(_SELECT_PLACE)
    except (*_FAILS, BusyError) as error:
        log.warning("standby_not_seen", error=repr(error))
    except Exception as error:  # noqa: BLE001  a server that is going down may answer anything
        log.error("standby_look_failed", error=repr(error))
    return None
