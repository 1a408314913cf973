"""Processes of a stack whose supervisor is gone.

Each of them names the state folder: in its command, or as the place of its health file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from embedded.errors import StackError
from embedded.settings import StackSettings

TERM_S = 20.0
KILL_S = 5.0
SERVERS = ("kafka.Kafka", "/bin/postgres")


def found(settings: StackSettings) -> list[psutil.Process]:
    """Those that go on without a supervisor."""
    return list(_found(f"{settings.state}/"))


def _found(folder: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if _is_of(process, folder):
                yield process
        except psutil.Error:
            continue


def _is_of(process: psutil.Process, folder: str) -> bool:
    command = " ".join(process.cmdline())
    if any(server in command for server in SERVERS):
        return f" {folder}" in command or f":{folder}" in command
    if "-m services." not in command:
        return False
    return process.environ().get("HEALTH_FILE", "").startswith(folder)


def said(processes: list[psutil.Process]) -> str:
    """A sentence for people."""
    pids = ", ".join(str(process.pid) for process in processes)
    return (
        f"the supervisor is gone and {len(processes)} of its processes go on (pid {pids}): "
        "`make down` ends them"
    )


def end(processes: list[psutil.Process]) -> None:
    """Ask them to end, then end them. Raises StackError where that fails."""
    for process in processes:
        _signal(process, is_last=False)
    for process in _alive(processes, TERM_S):
        _signal(process, is_last=True)
    alive = _alive(processes, KILL_S)
    if alive:
        pids = ", ".join(str(process.pid) for process in alive)
        raise StackError(f"these processes do not end: pid {pids}")


def _alive(
    processes: list[psutil.Process], timeout_s: float
) -> list[psutil.Process]:
    """Those that have not ended after so long."""
    until = time.monotonic() + timeout_s
    alive = list(filter(_is_alive, processes))
    while alive and time.monotonic() < until:
        time.sleep(0.1)
        alive = list(filter(_is_alive, alive))
    return alive


def _is_alive(process: psutil.Process) -> bool:
    """One whose parent has not asked after it yet has ended all the same."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, *, is_last: bool) -> None:
    try:
        _end(process, is_last=is_last)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        message = f"the process {process.pid} belongs to another user: end it as that user"
        raise StackError(message) from error


def _end(process: psutil.Process, *, is_last: bool) -> None:
    if is_last:
        process.kill()
    else:
        process.terminate()
