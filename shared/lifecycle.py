"""The life of a service: signals, a bounded drain, a heart that beats into the health file."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable

from shared import logs
from shared.health import Health

DRAIN_S = 8.0  # of the 10 s that a service has to end after SIGTERM
log = logs.get(__name__)


def collect_garbage_rarely() -> None:
    """Pages are thousands of small objects without cycles: looking through them for garbage again and again costs a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def run_until_stopped(main: Callable[[asyncio.Event], Awaitable[None]], health: Health) -> None:
    """Run `main(stop)`; SIGTERM or SIGINT sets `stop`, and after `DRAIN_S` the process ends whatever happens.

    Ending late without acknowledging is safe (the work comes again); hanging is not.
    """
    collect_garbage_rarely()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal(number: int) -> None:
        if not stop.is_set():
            log.info("stopping", signal=signal.Signals(number).name)
            stop.set()
            loop.call_later(DRAIN_S, _give_up)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    beat = asyncio.create_task(_beat(health))
    try:
        await main(stop)
    finally:
        beat.cancel()
        health.set(ready=False, reason="stopped")
    log.info("stopped")


def _give_up() -> None:
    log.warning("drain_took_too_long", seconds=DRAIN_S)
    os._exit(0)


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(1)


async def sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not longer than until `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def until_first_ends(*jobs: Awaitable[None]) -> None:
    """Run jobs together; when one ends or fails, cancel the rest and raise its error."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
