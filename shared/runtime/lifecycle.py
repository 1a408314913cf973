"""The life of a service: its parts, signals, a bounded drain, a heart that beats."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NoReturn, Protocol, TypeVar

from shared.errors import (
    CONFIG_EXIT_CODE,
    POISON_EXIT_CODE,
    ConfigError,
    StuckError,
    TransientError,
)
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.memory import Sweeper

LastWord = Callable[[bool], None]
_last_words: list[LastWord] = []
BLOCKED_AFTER_S = 120.0
DRAIN_S = 8.0  # of the 10 s that a service has to end after SIGTERM
LOOKS = 10  # at the heart, before a loop counts as blocked
T = TypeVar("T")
log = logs.get(__name__)


class Part(Protocol):
    """What a service starts before its work and closes after it."""

    async def start(self, stop: asyncio.Event) -> bool:
        """Wait until it is up; False when stopped first."""
        ...

    async def close(self) -> None: ...


@contextlib.asynccontextmanager
async def started(
    stop: asyncio.Event, *parts: Part
) -> AsyncIterator[bool]:
    """Start the parts in order and close them in reverse. Yields False when stopped first."""
    async with contextlib.AsyncExitStack() as stack:
        is_up = True
        for part in parts:
            is_up = await part.start(stop)
            if not is_up:
                break
            stack.push_async_callback(part.close)
        yield is_up


def before_end(work: LastWord) -> None:
    """Have this done before the process ends by itself: with whether it was asked to."""
    _last_words.append(work)


def end_process(code: int) -> NoReturn:
    """End at once, not waiting for threads that may hang."""
    say_last_words(is_asked=code == 0)
    os._exit(code)


def say_last_words(*, is_asked: bool) -> None:
    """Do what is to be done before the process ends."""
    for work in _last_words:
        work(is_asked)


def tune_gc() -> None:
    """Look for garbage rarely.

    Pages are thousands of small objects without cycles; looking through them again and again costs
    a tenth of the time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@contextlib.contextmanager
def exit_on_known_errors() -> Iterator[None]:
    """Around a service's main: an error raised on purpose is one line and an exit code."""
    try:
        yield
    except ConfigError as error:
        raise _exit(
            "configuration error", error, CONFIG_EXIT_CODE
        ) from error
    except TransientError as error:
        raise _exit("error", error, 1) from error


def _exit(kind: str, error: Exception, code: int) -> SystemExit:
    sys.stderr.write(f"{kind}: {error}\n")
    return SystemExit(code)


async def run_until_stopped(
    main: Callable[[asyncio.Event], Awaitable[None]], health: Health
) -> None:
    """Run `main(stop)`; SIGTERM or SIGINT sets `stop`.

    After `DRAIN_S` the process ends whatever happens: ending late without acknowledging is safe
    (the work comes again), hanging is not.
    """
    tune_gc()
    stop = asyncio.Event()
    _stop_on_signals(stop)
    beat = asyncio.create_task(keep_beating(health))
    try:
        await main(stop)
    except StuckError as error:
        log.critical("ending_to_start_anew", why=str(error))
        end_process(POISON_EXIT_CODE)
    except BaseException:
        say_last_words(is_asked=False)
        raise
    finally:
        beat.cancel()
        health.set(ready=False, reason="stopped")
    say_last_words(is_asked=True)
    log.info("stopped")


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if not stop.is_set():
            log.info("stopping", signal=signal.Signals(number).name)
            stop.set()
            loop.call_later(DRAIN_S, force_exit)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def force_exit() -> None:
    """End at once, without acknowledging: what was under way comes again."""
    log.warning("drain_took_too_long", seconds=DRAIN_S)
    end_process(0)


async def keep_beating(health: Health) -> None:
    """Write the health file once a second, and give back memory, until cancelled.

    A loop that no longer comes to it is ended by a thread.
    """
    heart = Heart()
    threading.Thread(
        target=heart.watch, args=(BLOCKED_AFTER_S,), daemon=True
    ).start()
    sweeper = Sweeper()
    while True:
        health.beat()
        heart.beat()
        sweeper.sweep()
        await asyncio.sleep(1)


class Heart:
    """What an event loop moves and a thread looks at: a blocked loop cannot end itself."""

    def __init__(self) -> None:
        self._beats = 0

    def beat(self) -> None:
        self._beats += 1

    def watch(self, blocked_after_s: float) -> None:
        """End the process when there was no beat for so long.

        A process that was frozen as a whole has not watched either, and is spared.
        """
        seen = -1
        looks = 0
        while looks < LOOKS:
            time.sleep(blocked_after_s / LOOKS)
            looks = looks + 1 if self._beats == seen else 0
            seen = self._beats
        log.critical("event_loop_blocked", seconds=blocked_after_s)
        end_process(POISON_EXIT_CODE)


async def sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not longer than until `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def finish_despite_cancel(work: Awaitable[T]) -> T:
    """Await to the end even when cancelled meanwhile; then be cancelled.

    So what is published is also known to be published.
    """
    inner = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(inner)
    except asyncio.CancelledError:
        await asyncio.wait([inner])
        raise


async def run_until_first_exits(*jobs: Awaitable[None]) -> None:
    """Run jobs together; when one ends or fails, cancel the rest and raise its error."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(
            tasks, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(
            tasks, timeout=DRAIN_S
        )  # what hangs does not hold up the end
