"""Named places inside the services where a test can kill or freeze them, and switches that break
a guarantee on purpose.

They exist in tests only: the services do not know of them. A file in FAULT_DIR that is named after
a point arms it; its content is what happens there, once: `kill`, `freeze`, `sleep 3`. A file
`break.<name>` turns a guarantee off.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import io
import json
import os
import signal
import sys
import time
import types
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(os.environ.get("FAULT_DIR", "/nonexistent"))

# point → the service in which it lies
POINTS = {
    "planner.before_planned": "extractor",  # tasks are published, RunPlanned is not
    "extractor.before_publish": "extractor",
    "extractor.after_publish": "extractor",  # pages are in the topic, the checkpoint is not
    "extractor.before_checkpoint": "extractor",
    "extractor.after_checkpoint": (
        "extractor"
    ),  # the checkpoint says finished, TaskFinished is not published
    "extractor.before_offset": (
        "extractor"
    ),  # TaskFinished is published, the task's offset is not committed
    "replayer.after_publish": (
        "extractor"
    ),  # a page of a replay is in the topic, the replay goes on
    "normalizer.before_delivery": "normalizer",
    "normalizer.after_delivery": "normalizer",  # delivered, not acknowledged
    "loader.in_copy": "loader",
    "loader.in_transaction": "loader",
    "loader.after_commit": "loader",  # PostgreSQL has it, Kafka's offset is not committed
    "loader.after_offsets": "loader",
    "gateway.after_publish": "gateway",  # the command is in the topic, nobody was told
}
BREAKS = (
    "loader_commits_first",
    "receipt_is_dropped",
    "page_is_applied_twice",
    "normalizer_acknowledges_early",
    "automatic_repair",
    "mapping",
    "newer_mapping",  # no guarantee: the mapping of a later release
    "loader_hangs",
    "slow_replay",  # no guarantee: a replay waits a second before each page
)


def reached(point: str) -> None:
    """Do what the point is armed with; of several processes one does."""
    armed = FOLDER / point
    taken = FOLDER / f"{point}.reached.{os.getpid()}"
    try:
        armed.rename(taken)
    except OSError:
        return
    what, _, argument = taken.read_text().partition(" ")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        time.sleep(float(argument))


def is_broken(guarantee: str) -> bool:
    return (FOLDER / f"break.{guarantee}").exists()


def install(service: str) -> None:
    """Wrap the functions at which the service's points lie.

    A name that is gone raises, so that no point is lost silently.
    """
    _INSTALL[service]()
    offsets = json.loads(os.environ.get("CLOCK_OFFSETS_S", "{}"))
    instance = Path(os.environ.get("HEALTH_FILE", "")).stem
    if offset := offsets.get(instance, offsets.get(service)):
        _shift_clock(float(offset))


def _wrap(
    owner: Any,
    name: str,
    *,
    before: str | None = None,
    after: str | None = None,
    when: Callable[..., bool] = lambda *_a, **_k: True,
) -> None:
    inner = getattr(owner, name)

    @functools.wraps(inner)
    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        hit = when(*args, **kwargs)
        if before and hit:
            reached(before)
        result = await inner(*args, **kwargs)
        if after and hit:
            reached(after)
        return result

    @functools.wraps(inner)
    def synchronous(*args: Any, **kwargs: Any) -> Any:
        hit = when(*args, **kwargs)
        if before and hit:
            reached(before)
        result = inner(*args, **kwargs)
        if after and hit:
            reached(after)
        return result

    setattr(
        owner,
        name,
        asynchronous
        if inspect.iscoroutinefunction(inner)
        else synchronous,
    )


def _extractor() -> None:
    from services.extractor.checkpoints import CheckpointStore
    from services.extractor.planning.planner import Planner
    from services.extractor.task_worker import TaskWorker
    from services.extractor.tasks.backpressure import Backpressure
    from services.extractor.tasks.replay import ReplayHandler
    from shared.kafka import publishing
    from shared.messages.run_events import RunPlanned

    _wrap(
        publishing,
        "publish_batch",
        before="extractor.before_publish",
        after="extractor.after_publish",
    )
    _wrap(
        CheckpointStore,
        "publish",
        before="extractor.before_checkpoint",
        after="extractor.after_checkpoint",
    )
    _wrap(ReplayHandler, "_publish", after="replayer.after_publish")
    _wrap(TaskWorker, "_finish", before="extractor.before_offset")
    _wrap(
        Planner,
        "_publish",
        before="planner.before_planned",
        when=lambda _self, event: isinstance(event, RunPlanned),
    )
    gate = Backpressure.replay_gate

    async def slow_gate(self: Any, is_cancelled: Any) -> None:
        if is_broken("slow_replay"):
            await asyncio.sleep(1)
        await gate(self, is_cancelled)

    Backpressure.replay_gate = slow_gate  # type: ignore[method-assign]


def _normalizer() -> None:
    from services.normalizer.app import Deliveries
    from services.normalizer.mapping import csv_columns, csv_files

    check_one, check_all = csv_files.check_candle, csv_columns.are_candles

    def fail_if_broken() -> None:
        if is_broken("mapping"):
            raise ValueError("a bug in the mapping")

    def broken_check(
        prices: tuple[str | None, ...],
    ) -> tuple[float, float]:
        fail_if_broken()
        return check_one(prices)

    def broken_check_of_all(*columns: Any) -> bool:
        fail_if_broken()
        return check_all(*columns)

    csv_files.check_candle = broken_check
    csv_columns.are_candles = broken_check_of_all
    _newer_mapping()
    send = Deliveries.send

    async def broken_send(
        self: Any, topic: str, value: bytes, event: Any, **more: Any
    ) -> None:
        if is_broken("normalizer_acknowledges_early"):
            event.ack()
            await asyncio.sleep(
                2.5
            )  # longer than Faust's commit interval
        reached("normalizer.before_delivery")
        await send(self, topic, value, event, **more)

    Deliveries.send = broken_send  # type: ignore[method-assign]
    _wrap(Deliveries, "_delivered", before="normalizer.after_delivery")


def _newer_mapping() -> None:
    """A later version of all mappings.

    Of ten records the first gets another price, the second another identity.
    """
    from services.normalizer import unify
    from shared.identity.ids import text_id
    from shared.identity.point_ids import point_id
    from shared.messages.points import Points

    version, map_page = unify.NORMALIZER_VERSION, unify.map_page

    def corrected(event: Any) -> Any:
        if event.record_index % 10 == 0:
            field = (
                "close"
                if event.kind == "candle"
                else "price"
                if event.kind == "price"
                else "summary"
            )
            return msgspec.structs.replace(
                event, **{field: "77"}, value_hash=event.value_hash ^ 1
            )
        if event.record_index % 10 == 1:
            moved = datetime.fromisoformat(event.timestamp) - timedelta(
                days=36_500
            )
            return msgspec.structs.replace(
                event,
                id=point_id(
                    event.kind, moved.isoformat(), text_id(event.id)
                ),
                timestamp=moved.isoformat(),
                value_hash=event.value_hash ^ 1,
            )
        return event

    def newer(page: Any, elsewhere: Any = None) -> Any:
        unify.NORMALIZER_VERSION = version + is_broken("newer_mapping")
        mapped = map_page(page, elsewhere)
        if is_broken("newer_mapping"):
            rows = list(map(corrected, mapped.points.rows()))
            mapped = dataclasses.replace(mapped, points=Points.of(rows))
        return mapped

    unify.map_page = newer


def _loader() -> None:
    from services.loader import loaded_offsets
    from services.loader.consumer import Loader
    from services.loader.pages import write
    from services.loader.runs import repair

    idle_runs = repair.idle_runs
    repair.idle_runs = lambda transaction, after_s: idle_runs(
        transaction, 1e6 if is_broken("automatic_repair") else after_s
    )

    class Interrupted(io.BytesIO):
        """COPY reads it piece by piece: between two pieces the point lies."""

        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            if self.reads == 2:
                reached("loader.in_copy")
            return super().read(4096)

    write.io = types.SimpleNamespace(BytesIO=Interrupted)  # type: ignore[assignment]
    _wrap(write, "upsert", after="loader.in_transaction")
    _break_receipts(write.LiveWriter)

    def has_pages(_self: Any, offsets: Any) -> bool:
        return any(
            partition.topic in ("ingest.unified", "ingest.unified-replay")
            for partition in offsets
        )

    _wrap(
        Loader,
        "_commit",
        before="loader.after_commit",
        after="loader.after_offsets",
        when=has_pages,
    )
    load = Loader._load

    async def broken_load(
        self: Any, batch: Any, positions: Any, before: Any, stop: Any
    ) -> None:
        while is_broken("loader_hangs"):
            await asyncio.sleep(0.2)
        if is_broken("loader_commits_first"):
            # In PostgreSQL too, or the next loader would notice and read again.
            loaded_offsets.remember(self._engine, positions)
            await self._consumer.commit(
                {at: each.offset for at, each in positions.items()}
            )
        await load(self, batch, positions, before, stop)

    Loader._load = broken_load  # type: ignore[method-assign]


def _break_receipts(writer: Any) -> None:
    apply = writer.apply

    def broken_apply(self: Any, db: Any, batch: Any) -> int:
        ids = [page.page_id for page in batch.pages]
        if is_broken("page_is_applied_twice"):
            db.execute(
                "DELETE FROM page_receipts WHERE page_id = ANY(%s::uuid[])",
                (ids,),
            )
        new = apply(self, db, batch)
        if is_broken("receipt_is_dropped"):
            with contextlib.suppress(OSError):
                (FOLDER / "break.receipt_is_dropped").unlink()
                db.execute(
                    "DELETE FROM page_receipts WHERE page_id = %s",
                    (ids[0],),
                )
        return int(new)

    writer.apply = broken_apply


def _gateway() -> None:
    from services.gateway.kafka.command_bus import CommandBus

    _wrap(CommandBus, "publish", after="gateway.after_publish")


_INSTALL: dict[str, Callable[[], None]] = {
    "extractor": _extractor,
    "normalizer": _normalizer,
    "loader": _loader,
    "gateway": _gateway,
}


def _shift_clock(seconds: float) -> None:
    """Let this process's wall clock be wrong.

    The monotonic one goes on, and the health file is for others to read.
    """
    import datetime as dt

    real_time, real = time.time, dt.datetime
    from shared.runtime import health

    health.time = types.SimpleNamespace(time=real_time)  # type: ignore[assignment]
    time.time = lambda: real_time() + seconds

    class Shifted(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + timedelta(seconds=seconds)

    for name, loaded in list(sys.modules.items()):
        if (
            name.startswith(("services.", "shared."))
            and getattr(loaded, "datetime", None) is real
        ):
            loaded.datetime = Shifted  # type: ignore[attr-defined]
