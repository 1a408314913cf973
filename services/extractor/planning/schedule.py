"""The schedule: an ingestion of everything every INGEST_EVERY_S, unless one is still at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from services.extractor.archive import Archive
from shared.errors import TransientError
from shared.identity.ids import scheduled_run_id
from shared.kafka import publishing
from shared.messages.commands import StartIngestion
from shared.messages.topics import COMMANDS
from shared.runtime import logs

LOOKED_BACK = 50  # slots, for a run that is still open
log = logs.get(__name__)


class Schedule:
    """Asks for the ingestion that is due.

    A run's id is made from its time, so that asking twice is asking once.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        archive: Archive,
        *,
        every_s: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`every_s` 0: never."""
        self._producer = producer
        self._archive = archive
        self._every_s = every_s
        self._now = now
        self._last_slot = 0
        self._asked_id: str | None = None
        self._skipped = 0
        self._waited_for: str | None = None

    async def ask_when_due(self) -> None:
        """Once a slot. What cannot be asked now is asked later."""
        if not self._every_s:
            return
        slot = int(self._now() // self._every_s)
        if slot <= self._last_slot:
            return
        try:
            await self._on_slot(slot)
        except TransientError as error:
            log.warning("schedule_postponed", error=str(error))
        else:
            self._last_slot = slot

    async def _on_slot(self, slot: int) -> None:
        open_id = await self._open_run(slot)
        if open_id is None:
            await self._ask(slot)
            return
        self._skipped += 1
        self._waited_for = open_id
        log.info("schedule_skipped", at=self._at(slot), open_run=open_id)

    async def _open_run(self, slot: int) -> str | None:
        """A run of the schedule that has not ended."""
        earlier = range(slot - 1, slot - 1 - LOOKED_BACK, -1)
        ids = [scheduled_run_id(self._at(each)) for each in earlier]
        return await self._archive.open_run(ids, self._asked_id)

    async def _ask(self, slot: int) -> None:
        at = self._at(slot)
        run_id = scheduled_run_id(at)
        command = StartIngestion(
            run_id=run_id, requested_at=at, notes=self._notes()
        )
        await publishing.publish(
            self._producer,
            COMMANDS,
            command,
            key=run_id,
            service="extractor",
            event_id=run_id,
        )
        self._asked_id = run_id
        self._skipped = 0

    def _notes(self) -> list[str]:
        if not self._skipped:
            return []
        left_out = f"the schedule left out {self._skipped} run(s)"
        return [f"{left_out}, since {self._waited_for} was still at work"]

    def _at(self, slot: int) -> str:
        return datetime.fromtimestamp(
            slot * self._every_s, UTC
        ).isoformat()
