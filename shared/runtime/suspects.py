"""Which message a process was at work on when it was killed, three times in a row.

A message that takes all memory, or breaks a library, ends the process with a signal and comes
again. After such an end a service works on one message at a time for a while, and notes on disk
which one. The third death with the same message alone in work accuses it, unless it got further
each time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.blame import UnprocessableError
from shared.runtime import logs

DEATHS = 3
NOT_KILLED = -1  # in place of the number of deaths
CAREFUL_MESSAGES = (
    50  # that are done well before several are at work again
)
ALONE_S = 20.0  # that one message may keep others waiting
log = logs.get(__name__)


class Suspects:
    """The note of one process. Without a path nothing is noted."""

    def __init__(self, health_file: str | None) -> None:
        """`health_file`: the note lies beside it. Its process must be the only one there.

        `was_asked_to_end`: the process before, if there was one.
        """
        self._path = (
            Path(health_file).with_suffix(".work")
            if health_file
            else None
        )
        self._at, self._deaths = self._found()
        self.was_asked_to_end = (
            self._path is None or not self._path.exists()
        )
        self._left = CAREFUL_MESSAGES if self._deaths >= 0 else 0
        if self.is_careful:
            log.warning(
                "was_killed", at_work_on=self._at, deaths=self._deaths
            )
        # Nothing is in work yet: an end before that accuses nobody.
        self._write("", 0)

    @property
    def is_careful(self) -> bool:
        """Whether one message at a time is to be worked on."""
        return self._left > 0

    def begin(self, at: str) -> None:
        """A message, by its place, is alone in work. Raises UnprocessableError for one accused."""
        if not self.is_careful:
            return
        if at != self._at:
            self._at, self._deaths = at, 0
        if self._deaths >= DEATHS:
            raise UnprocessableError(
                f"the process was killed {self._deaths} times while it was at work on it"
            )
        self._write(at, self._deaths)

    def done(self) -> None:
        """It is done, or waits for something else."""
        if self.is_careful:
            self._left -= 1
            self._at, self._deaths = "", 0
            self._write("", 0)

    def moved(self) -> None:
        """What is in work got a step further, which it keeps: an end after this accuses nobody."""
        if self.is_careful and self._deaths >= 0:
            self._deaths = 0
            self._write("", 0)

    def give_up(self) -> None:
        """Several may be in work from now on, and an end accuses nobody."""
        self._left = 0
        self._write("", 0)

    def end(self, is_asked: bool) -> None:  # noqa: FBT001  a last word
        """The process ends by itself."""
        if self._path is not None and is_asked:
            self._path.unlink(missing_ok=True)
        else:
            self._write("", NOT_KILLED)

    def _found(self) -> tuple[str, int]:
        """(the message that was in work, how often in a row or NOT_KILLED)."""
        try:
            note = (
                json.loads(self._path.read_text()) if self._path else {}
            )
            at = str(note["at"])
            return at, int(note["deaths"]) + bool(at)
        except (OSError, ValueError, KeyError, TypeError):
            return "", NOT_KILLED

    def _write(self, at: str, deaths: int) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(
                json.dumps({"at": at, "deaths": deaths})
            )
        except OSError as error:
            log.warning("work_not_noted", error=str(error))


class Turns:
    """Turns of several loops of one process, whose messages may take long."""

    def __init__(self, suspects: Suspects) -> None:
        self._suspects = suspects
        self._is_free = asyncio.Event()
        self._is_free.set()

    @asynccontextmanager
    async def alone(self, at: str) -> AsyncIterator[None]:
        """While a message is worked on, alone while care is needed; others need not wait for long.

        Raises UnprocessableError for one accused.
        """
        while self._suspects.is_careful and not self._is_free.is_set():
            await self._is_free.wait()
        if not self._suspects.is_careful:
            yield
            return
        self._suspects.begin(at)
        self._is_free.clear()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(ALONE_S, self._give_up)
        try:
            yield
        finally:
            timer.cancel()
            self._suspects.done()
            self._is_free.set()

    def moved(self) -> None:
        """The message in work got a step further."""
        self._suspects.moved()

    def _give_up(self) -> None:
        self._suspects.give_up()
        self._is_free.set()


def place(topic: str, partition: int, offset: int) -> str:
    """What names a message."""
    return f"{topic}[{partition}]@{offset}"
