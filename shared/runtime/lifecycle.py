"""The life of a service: signals, a bounded drain, a heart that beats into the health file."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

from shared.errors import CONFIG_EXIT_CODE, POISON_EXIT_CODE, ConfigError, StuckError, TransientError
from shared.runtime import logs
from shared.runtime.health import Health

BLOCKED_AFTER_S = 120.0
DRAIN_S = 8.0  # of the 10 s that a service has to end after SIGTERM
log = logs.get(__name__)


def collect_garbage_rarely() -> None:
    """Pages are thousands of small objects without cycles: looking through them for garbage again and again costs a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@contextlib.contextmanager
def errors_said_plainly() -> Iterator[None]:
    """Around a service's main: an error that was raised on purpose ends the process with one line and its exit code."""
    try:
        yield
    except ConfigError as error:
        sys.stderr.write(f"configuration error: {error}\n")
        raise SystemExit(CONFIG_EXIT_CODE) from error
    except TransientError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from error


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
            loop.call_later(DRAIN_S, give_up)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    beat = asyncio.create_task(keep_beating(health))
    try:
        await main(stop)
    except StuckError as error:
        log.critical("ending_to_start_anew", why=str(error))
        os._exit(POISON_EXIT_CODE)  # not waiting for threads that may hang
    finally:
        beat.cancel()
        health.set(ready=False, reason="stopped")
    log.info("stopped")


def give_up() -> None:
    """End at once, without acknowledging: what was under way comes again."""
    log.warning("drain_took_too_long", seconds=DRAIN_S)
    os._exit(0)


async def keep_beating(health: Health) -> None:
    """Write the health file once a second, for ever. A loop that no longer comes to it is ended by a thread."""
    heart = Heart()
    threading.Thread(target=heart.watch, args=(BLOCKED_AFTER_S,), daemon=True).start()
    while True:
        health.beat()
        heart.beat()
        await asyncio.sleep(1)


class Heart:
    """What an event loop moves and a thread looks at: a loop that is blocked cannot end itself."""

    def __init__(self) -> None:
        self._beats = 0

    def beat(self) -> None:
        self._beats += 1

    def watch(self, blocked_after_s: float) -> None:
        """End the process when there was no beat for so long. A process that was frozen as a whole has not watched either, and is spared."""
        seen, looks = -1, 0
        while looks < 10:
            time.sleep(blocked_after_s / 10)
            looks = looks + 1 if self._beats == seen else 0
            seen = self._beats
        log.critical("event_loop_blocked", seconds=blocked_after_s)
        os._exit(POISON_EXIT_CODE)


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
        await asyncio.wait(tasks, timeout=DRAIN_S)  # what hangs does not hold up the end
