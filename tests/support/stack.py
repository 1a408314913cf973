"""A stack of its own.

Started as `make up` starts it, on its own ports and state, stopped at the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from embedded import supervision
from embedded.settings import ROOT, StackSettings
from tests.support.ports import free_ports
from tests.support.product import KEY, Product


def untraced() -> dict[str, str]:
    """The environment without what makes programs count their coverage: it takes half their time.

    What they do counts in the tests of single services.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("COVERAGE_")
    }


class Stack(Product):
    """Environment, commands and the API of one running stack."""

    def __init__(
        self, state: Path, csv_dir: Path, **settings: str
    ) -> None:
        api, postgres, kafka = free_ports(3)
        self.csv_dir = csv_dir
        self.variables = {
            "API_PORT": str(api),
            "POSTGRES_PORT": str(postgres),
            "KAFKA_PORT": str(kafka),
            "STATE_DIR": str(state),
            "CSV_DIR": str(csv_dir),
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "p@ss/word 1",
            "POSTGRES_DB": "ingestion_test",
            "DATABASE_URL": "",
            "API_KEY": KEY,
            "MODE": "native",
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "KAFKA_HEAP": "384m",
            "POSTGRES_SHARED_BUFFERS": "256MB",
            "RSS_FEEDS": "[]",
            "COIN_IDS": "[]",
            # Which takes time to start, where nothing is told.
            "NOTIFIERS": "0",
            **settings,
        }
        self.environment = {**untraced(), **self.variables}
        self.settings = StackSettings(
            _env_file=None,
            **{
                name.lower(): value
                for name, value in self.variables.items()
                if name.lower() in StackSettings.model_fields and value
            },
        )
        super().__init__(api, self.settings.dsn())

    # -- the stack -------------------------------------------------------------------------------

    def command(
        self, *arguments: str, timeout_s: float = 180, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "embedded", *arguments],
            cwd=ROOT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def up(self) -> None:
        done = self.command("up")
        assert done.returncode == 0, done.stdout + done.stderr

    def down(self) -> None:
        done = self.command("down")
        assert done.returncode == 0, done.stdout + done.stderr

    def pids(self, service: str) -> list[int]:
        return [
            process["pid"]
            for process in supervision.processes(self.settings)
            if process["group"] == service and process["pid"]
        ]

    def kill(self, service: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one instance of a service."""
        os.kill(self.pids(service)[0], number)

    def kill_pid(self, pid: int) -> None:
        """Without a word, if it is there still."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def stop_part(self, name: str) -> None:
        supervision.rpc(self.settings).stopProcessGroup(name, True)

    def start_part(self, name: str) -> None:
        supervision.rpc(self.settings).startProcessGroup(name, False)

    def processes(self) -> list[psutil.Process]:
        """Every process of the stack, found by its supervisor."""
        supervisor = psutil.Process(
            int((self.settings.state / "supervisord.pid").read_text())
        )
        return [supervisor, *supervisor.children(recursive=True)]


def prepare(root: Path) -> None:
    """Make the folders `csv` and `state`, and let PostgreSQL, which runs as another user, in."""
    for each in (root, *root.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o755)
    for name in ("csv", "state"):
        (root / name).mkdir()


@contextlib.contextmanager
def running(
    state: Path, csv_dir: Path, **settings: str
) -> Iterator[Stack]:
    stack = Stack(state, csv_dir, **settings)
    stack.up()
    try:
        yield stack
    finally:
        stack.api.close()
        stack.down()
