"""A run of Kafka that Java learns from, once for all stacks of a user: it halves each later start.

The classes that a start loads are kept beside the jars, as Java 24 and later can
(`-XX:AOTCache`). Where that is not there, does not fit, or cannot be made, Kafka starts as before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from embedded.errors import StackError
from embedded.servers import jars, kafka
from embedded.settings import ROOT, StackSettings
from shared.errors import ConfigError

STARTED = "Kafka Server started"
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 120.0  # while it writes what it has learned


def begin(settings: StackSettings) -> None:
    """In the background, where Java can learn and has not yet."""
    if kafka.can_learn(settings) and not kafka.learned_path().is_file():
        subprocess.Popen(
            [sys.executable, "-m", "embedded.servers.training"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def train() -> bool:
    """Whether Java has learned now. Another process that is at it is left alone."""
    with _alone() as is_alone:
        return (
            is_alone and not kafka.learned_path().is_file() and _trained()
        )


@contextlib.contextmanager
def _alone() -> Iterator[bool]:
    with (jars.folder() / "training.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _trained() -> bool:
    with tempfile.TemporaryDirectory(dir=jars.folder()) as folder:
        learned = _learned(Path(folder))
        if learned.is_file():
            learned.replace(kafka.learned_path())
    return kafka.learned_path().is_file()


def _learned(folder: Path) -> Path:
    """Where Java has written it; not there where it could not. Raises StackError."""
    settings = _settings(folder)
    kafka.prepare(settings)
    learned, log = folder / "learned", folder / "log"
    with log.open("w") as file:
        command = kafka.learning_command(settings, learned)
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_started(process, log)
        process.terminate()
        process.wait(END_TIMEOUT_S)
    finally:
        process.kill()
    return learned


def _settings(folder: Path) -> StackSettings:
    return StackSettings(
        _env_file=None,
        mode="native",
        kafka_bootstrap_servers="",
        kafka_brokers=1,
        kafka_port=kafka.free_port(),
        kafka_heap="256m",
        state_dir=folder,
    )


def _wait_until_started(
    process: subprocess.Popen[bytes], log: Path
) -> None:
    """Raises StackError."""
    end = time.monotonic() + START_TIMEOUT_S
    while not _has_started(log):
        if process.poll() is not None or time.monotonic() > end:
            raise StackError("Kafka did not start for Java to learn from")
        time.sleep(0.1)


def _has_started(log: Path) -> bool:
    return STARTED in log.read_text(errors="replace")


def main() -> int:
    """0 whatever comes of it: it is a matter of speed."""
    os.nice(10)
    with contextlib.suppress(
        StackError, ConfigError, OSError, subprocess.SubprocessError
    ):
        train()
    return 0


if __name__ == "__main__":
    sys.exit(main())
