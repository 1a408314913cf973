"""Work on foreign bytes in a child process, under limits that the kernel keeps.

A parser that a text sends into an endless loop keeps Python's lock, and memory that it takes is not
given back. So feeds, markup and the beginnings of files are read in a child. It is ended when it
takes more processor time or memory than its bytes may need, and the next task gets a new one.
"""

from __future__ import annotations

import multiprocessing
import pickle
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from shared.errors import IngestError, TaskError
from shared.runtime.memory import give_back

LIMIT_EXCEEDED = "limit_exceeded"
_MEMORY = "memory"  # a code between child and parent
MEGABYTE = 1 << 20
PATIENCE = (
    10  # seconds of waiting for one of processor time: others compute too
)
JOIN_S = 5.0
KEPT = 24 * MEGABYTE  # by which a child may have grown and go on
Meter = Callable[[int], None]
_preloaded: dict[str, None] = {}
_starting = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What a task may take beyond what its child has.

    `cpu_s`: to begin with; `cpu_s_per_mb`: and for each megabyte that it says it has read.
    `memory`: bytes. `answer`: bytes of one piece of what it yields.
    """

    cpu_s: float = 10.0
    cpu_s_per_mb: float = 1.0
    memory: int = 64 * MEGABYTE
    answer: int = 8 * MEGABYTE


class Confined:
    """One child process, started when it is first needed. One task at a time."""

    def __init__(self, preload: Sequence[str]) -> None:
        """`preload`: modules that each child finds imported."""
        self._context = multiprocessing.get_context("forkserver")
        # All children come from one server, which imports them once.
        _preloaded.update(dict.fromkeys(preload))
        self._context.set_forkserver_preload(
            [*_preloaded, "shared.runtime.frozen"]
        )
        self._turn = threading.Lock()
        self._child: ForkServerProcess | None = None
        self._connection: Connection | None = None

    def run(
        self,
        what: str,
        limits: Limits,
        task: Callable[..., Iterator[Any]],
        *arguments: Any,
    ) -> Iterator[Any]:
        """What `task(meter, *arguments)` yields, as it comes. Blocks.

        `what`: is read, for messages. `meter(size)`: called by the task for the bytes that it has
        read. Raises the task's own TaskError, TaskError `limit_exceeded` where it was ended.
        """
        with self._turn:
            is_over = False
            try:
                connection = self._connected()
                connection.send((limits, task, arguments))
                for kind, value in _received(connection, limits):
                    if kind == "end":
                        is_over = value < KEPT
                        return
                    if kind == "error":
                        is_over = value[0] != _MEMORY
                        raise _error(what, *value)
                    yield value
            except (EOFError, OSError) as error:
                raise _limit(what, self._reason(error)) from None
            finally:
                if not is_over:
                    self._end()

    def close(self) -> None:
        """End the child, whatever it does."""
        self._end()

    def _connected(self) -> Connection:
        """The connection to a child that lives."""
        if self._child is not None and not self._child.is_alive():
            self._end()
        if self._connection is None:
            ours, theirs = self._context.Pipe()
            with theirs:
                child = self._context.Process(
                    target=_serve, args=(theirs,), daemon=True
                )
                with _main_unseen():
                    child.start()
            self._connection = ours
            self._child = child
        return self._connection

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._child is not None:
            self._child.kill()
            self._child.join(JOIN_S)
        self._connection = None
        self._child = None

    def _reason(self, error: Exception) -> str:
        """Why there is no answer."""
        child = self._child
        if child is not None and isinstance(error, EOFError):
            child.join(JOIN_S)
        code = child.exitcode if child is not None else None
        if code is None:
            return str(error) or "what it holds is too large"
        if -code == signal.SIGPROF:
            return "it takes too much processor time"
        if -code == signal.SIGKILL:
            return "its reader was killed, as for taking too much memory"
        return f"its reader broke down (exit code {code})"


def prepare() -> None:
    """Start what children come from, so that the first task need not wait for its imports."""
    with _main_unseen():
        forkserver.ensure_running()


def _received(
    connection: Connection, limits: Limits
) -> Iterator[tuple[str, Any]]:
    """What the child sends, to its end. Raises EOFError, OSError."""
    while True:
        # A child that waits for a disk is not stopped by the limit of processor time.
        if not connection.poll(PATIENCE * limits.cpu_s):
            raise TimeoutError("it takes too long")
        message = connection.recv_bytes(limits.answer)
        kind, value = pickle.loads(message)  # noqa: S301  from our own child
        if kind != "read":
            yield kind, value


@contextmanager
def _main_unseen() -> Iterator[None]:
    """A child would import the module that was started, with all of the service."""
    with _starting:
        main = sys.modules["__main__"]
        spec = main.__spec__
        file = vars(main).pop("__file__", None)
        main.__spec__ = None
        try:
            yield
        finally:
            main.__spec__ = spec
            if file is not None:
                main.__file__ = file


def _limit(what: str, reason: str) -> TaskError:
    return TaskError(LIMIT_EXCEEDED, f"{what} cannot be read: {reason}")


def _error(what: str, code: str | None, message: str) -> Exception:
    """An error of the task, or of memory; anything else is a fault of ours."""
    if code is None:
        return RuntimeError(message)
    if code == _MEMORY:
        return _limit(what, message)
    return TaskError(code, message)


# -- in the child ---------------------------------------------------------------------------------


def _serve(connection: Connection) -> None:
    """Do one task after another until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(
        signal.SIGPROF, signal.SIG_DFL
    )  # which ends the process
    with suppress(EOFError, OSError):
        while True:
            limits, task, arguments = connection.recv()
            if not _do(connection, limits, task, arguments):
                return


def _do(
    connection: Connection,
    limits: Limits,
    task: Callable[..., Iterator[Any]],
    arguments: tuple[Any, ...],
) -> bool:
    """Do a task. False when this process should take no other."""
    before = _address_space()
    _limit_memory(limits.memory)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
    try:
        for piece in task(_meter(connection, limits), *arguments):
            _send(connection, "piece", piece)
        _send(connection, "end", _address_space() - before)
    except TaskError as error:
        _send(connection, "error", (error.code, error.message))
    except MemoryError:
        _limit_memory(None)
        _send(connection, "error", (_MEMORY, "it takes too much memory"))
        return False
    except (IngestError, Exception) as error:  # noqa: BLE001  the parent raises it
        message = f"{type(error).__name__}: {error}"
        _send(connection, "error", (None, message[:1000]))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _limit_memory(None)
        give_back()
    return True


def _send(connection: Connection, kind: str, value: Any) -> None:
    connection.send_bytes(pickle.dumps((kind, value)))


def _meter(connection: Connection, limits: Limits) -> Meter:
    """Gives more processor time for what was read, and tells the parent that it goes on."""

    def meter(size: int) -> None:
        left = signal.getitimer(signal.ITIMER_PROF)[0]
        more = size / MEGABYTE * limits.cpu_s_per_mb
        signal.setitimer(signal.ITIMER_PROF, left + more)
        _send(connection, "read", size)

    return meter


def _limit_memory(more: int | None) -> None:
    """Address space beyond what the process has now; None for as much as it may ever have."""
    if sys.platform != "linux":
        return  # other systems do not keep this limit
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = most if more is None else _address_space() + more
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def _address_space() -> int:
    """Bytes; 0 where it is not known."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:  # noqa: PTH123  read before each task
        return int(file.read().split()[0]) * resource.getpagesize()


def unmetered(_size: int) -> None:
    """A meter for work that is not confined."""
