"""The compose deployment of this checkout as a project of its own.

Its own name, ports, volumes and CSV folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from embedded.settings import ROOT
from tests.support.ports import free_ports
from tests.support.product import KEY, Product, until

FILES = ("docker-compose.yml", "tests/compose/docker-compose.test.yml")
SERVICES = (
    "extractor",
    "normalizer",
    "loader",
    "gateway",
    "notifier",
    "proxy",
)


def compose_command() -> list[str] | None:
    """`docker compose` or `docker-compose`; None where no engine answers."""
    if (
        not shutil.which("docker")
        or subprocess.run(
            ["docker", "info"],
            capture_output=True,
            timeout=30,
            check=False,
        ).returncode
    ):
        return None
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and subprocess.run(
                [*command, "version"], capture_output=True, check=False
            ).returncode
            == 0
        ):
            return command
    return None


class ComposeStack(Product):
    """Commands of compose and of the engine, and the product behind them."""

    def __init__(
        self,
        command: list[str],
        csv_dir: Path,
        name: str = "crypto-ingest-test",
        files: tuple[str, ...] = FILES,
    ) -> None:
        self._files = files
        api, postgres = free_ports(2)
        self.csv_dir, self._command = csv_dir, command
        buildkit = (
            subprocess.run(
                ["docker", "buildx", "version"],
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )
        self._environment = {
            **{
                variable: value
                for variable, value in os.environ.items()
                if variable
                in {"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG"}
            },
            "COMPOSE_PROJECT_NAME": name,
            "API_PORT": str(api),
            "POSTGRES_PORT": str(postgres),
            "CSV_DIR": str(csv_dir),
            "API_KEY": KEY,
            "DOCKER_BUILDKIT": str(int(buildkit)),
        }
        super().__init__(
            api,
            f"postgresql://postgres:postgres@127.0.0.1:{postgres}/ingestion_db",
        )

    def compose(self, *arguments: str, timeout_s: float = 600) -> str:
        files = [
            part
            for file in self._files
            for part in ("-f", str(ROOT / file))
        ]
        # The example of settings, not a developer's own .env.
        command = [
            *self._command,
            "--env-file",
            str(ROOT / ".env.example"),
            "--project-directory",
            str(ROOT),
            *files,
            *arguments,
        ]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done.stdout

    def up(self, **scale: int) -> None:
        """Start, or scale, and wait until every container is healthy."""
        counts = [
            part
            for service, count in scale.items()
            for part in ("--scale", f"{service}={count}")
        ]
        self.compose("up", "-d", *counts)
        self.wait_healthy()
        self.wait_ready()

    def wait_healthy(self) -> None:
        until(
            "every container to be healthy",
            lambda: all(
                self._is_healthy(c)
                for s in SERVICES
                for c in self.containers(s)
            ),
            120,
            1,
        )

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "-q", service).split()

    def state(self, container: str) -> dict[str, object]:
        return dict(
            json.loads(
                self.docker("inspect", "-f", "{{json .State}}", container)
            )
        )

    def _is_healthy(self, container: str) -> bool:
        health = self.state(container).get("Health")
        return isinstance(health, dict) and health["Status"] == "healthy"

    @staticmethod
    def docker(*arguments: str) -> str:
        return subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout

    def down(self, *, volumes: bool = False) -> None:
        self.compose(
            "down",
            "--remove-orphans",
            *(["--volumes"] if volumes else []),
        )
