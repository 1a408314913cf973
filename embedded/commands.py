"""What each command does and prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from embedded import leftovers, stack, supervision
from embedded.console import Console
from embedded.errors import StackError
from embedded.servers import kafka
from embedded.settings import ROOT, StackSettings
from shared.errors import ConfigError
from shared.identity import one_time_codes
from shared.runtime.settings import load

Command = Callable[[Console, list[str]], int]
NOTHING_RUNS = "nothing is running: start it with `make up`"
_GROUPS_TOOL = (
    "/opt/kafka/bin/kafka-consumer-groups.sh",
    "--bootstrap-server",
    "localhost:9092",
)
ANSWER_TIMEOUT_S = 5.0
YES = frozenset({"y", "yes"})
_COMPOSE = (["docker", "compose"], ["docker-compose"])
COMPOSE_BROKERS = 3  # of docker-compose.cluster.yml
CLUSTER_FILES = ("docker-compose.yml", "docker-compose.cluster.yml")


def up(console: Console, _arguments: list[str]) -> int:
    settings = stack.check_settings()
    for note in stack.notes():
        console.print(f"  note: {note}")
    if settings.mode == "docker":
        return compose("up", "--build", "-d")
    started = time.monotonic()
    if stack.up(settings, console):
        console.print(
            f"all ready after {time.monotonic() - started:.0f} s"
        )
    else:
        console.print("already running")
    for note in _overridden(settings):
        console.print(f"  note: {note}")
    print_addresses(settings, console)
    return 0


def _overridden(settings: StackSettings) -> Iterator[str]:
    """What of `.env` does not count, since it was set at run time."""
    url = f"http://127.0.0.1:{settings.api_port}/api/v1/configuration"
    headers = {"x-api-key": settings.api_key.get_secret_value()}
    try:
        answer = httpx.get(url, headers=headers, timeout=ANSWER_TIMEOUT_S)
        found = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return  # it is no reason to fail
    for each in found:
        if each["origin"] != "env" and each["env_value"] is not None:
            yield (
                f"{each['name']} was set at run time, above .env: "
                f"`crypto-ingest config reset {each['name']}` takes that back"
            )


def print_addresses(settings: StackSettings, console: Console) -> None:
    url = f"http://localhost:{settings.api_port}"
    key = settings.api_key.get_secret_value()
    console_at = f"{url}/"
    if key != stack.DEFAULT_KEY:
        key = "$API_KEY"  # a secret is printed nowhere
    elif console.rich.is_terminal and stack.is_local():
        console_at += f"#key={key}"
    console.print(f"""
  console  {console_at}
  API      {url}/api/v1   (documentation: {url}/docs)
  key      {key}   in the header x-api-key

Try:
  curl -X POST -H "x-api-key: {key}" {url}/api/v1/ingest
  curl -H "x-api-key: {key}" '{url}/api/v1/data?limit=3'
  curl -H "x-api-key: {key}" '{url}/api/v1/stats?limit=1'""")


def open_console(console: Console, _arguments: list[str]) -> int:
    """In a browser where there is one; the address works once, for a minute."""
    settings = load(StackSettings)
    url = f"http://localhost:{settings.api_port}/"
    try:
        httpx.get(url, timeout=ANSWER_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise StackError(
            f"nothing answers at {url}: start it with `make up`"
        ) from error
    key = settings.api_key.get_secret_value()
    address = f"{url}#code={one_time_codes.made(key, time.time())}"
    console.print(
        f"The console, for one visit that begins within a minute:\n  {address}"
    )
    if _has_desktop():
        webbrowser.open(address)
    return 0


def _has_desktop() -> bool:
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def down(console: Console, _arguments: list[str]) -> int:
    settings = load(StackSettings)
    if settings.mode == "docker":
        return compose("down")
    if stack.down(settings):
        console.print("stopped; the data stays")
    else:
        console.print("nothing is running")
    return 0


def status(console: Console, _arguments: list[str]) -> int:
    """0 when all is ready, 1 when something is not, 3 when nothing runs."""
    settings = load(StackSettings)
    if settings.mode == "docker":
        return compose("ps")
    if not supervision.is_running(settings):
        left = leftovers.found(settings)
        console.print(leftovers.said(left) if left else NOTHING_RUNS)
        return 1 if left else 3
    is_all_ready = True
    for process in supervision.processes(settings):
        is_ready, state = _state(settings, process)
        is_all_ready &= is_ready
        line = f"  {process['name']:<14} {state:<12} {process['description']}"
        restarts = supervision.unexpected_ends(settings, process["name"])
        if restarts:
            line += f", restarted {restarts} time(s), see `make logs S=supervisor`"
        console.print(line)
    return int(not is_all_ready)


def _state(
    settings: StackSettings, process: dict[str, Any]
) -> tuple[bool, str]:
    """(whether it is ready, its state for people)."""
    state = process["statename"].lower()
    service = process["group"]
    if state != "running" or service not in settings.counts():
        return state == "running", state
    number = int(process["name"].rpartition("-")[2])
    reason = stack.not_ready(settings, service, number)
    if reason is None:
        return True, "ready"
    return False, f"{state}, not ready: {reason}"


def logs(console: Console, arguments: list[str]) -> int:
    settings = load(StackSettings)
    if settings.mode == "docker":
        return compose("logs", "--tail", "100", "-f", *arguments)
    name = arguments[0] if arguments else ""
    files = sorted(settings.logs.glob("*.log"))
    wanted = [str(path) for path in files if path.stem.startswith(name)]
    if not wanted:
        raise _no_logs(name, files)
    follow = ["-F"] if console.rich.is_terminal else []
    command = ["tail", "-n", "50", *follow, *wanted]
    return subprocess.run(command, check=False).returncode


def _no_logs(name: str, files: list[Path]) -> StackError:
    of_name = f" of {name!r}" if name else ""
    known = ", ".join(_services_of(files)) or "none yet"
    return StackError(f"there are no logs{of_name} (known: {known})")


def _services_of(files: list[Path]) -> list[str]:
    return sorted({path.stem.partition("-")[0] for path in files})


def stop(console: Console, arguments: list[str]) -> int:
    """One service, all instances of it; the others go on."""
    return _one_service(console, "stop", arguments)


def start(console: Console, arguments: list[str]) -> int:
    """A service that was stopped, all instances of it."""
    return _one_service(console, "start", arguments)


def _one_service(
    console: Console, verb: str, arguments: list[str]
) -> int:
    settings = load(StackSettings)
    name = arguments[0] if arguments else ""
    services = settings.counts()
    if name not in services:
        raise StackError(
            f"say which service to {verb}: make {verb} S={'|'.join(services)}"
        )
    if settings.mode == "docker":
        return compose(verb, name)
    _check_is_running(settings)
    supervisor = supervision.rpc(settings)
    if verb == "stop":
        supervisor.stopProcessGroup(name)
        console.print(f"{name}: stopped")
    else:
        supervisor.startProcessGroup(name)
        console.print(f"{name}: started")
    return 0


def kafka_groups(_console: Console, arguments: list[str]) -> int:
    """Kafka's own tool for consumer groups, pointed at the broker that runs."""
    settings = load(StackSettings)
    if settings.mode == "docker":
        return compose("exec", "-T", "kafka", *_GROUPS_TOOL, *arguments)
    _check_is_running(settings)
    command = kafka.groups_command(settings, arguments)
    return subprocess.run(command, check=False).returncode


def _check_is_running(settings: StackSettings) -> None:
    if not supervision.is_running(settings):
        raise StackError(NOTHING_RUNS)


def clean(console: Console, arguments: list[str]) -> int:
    """Stop, and delete all data; asks first."""
    settings = load(StackSettings)
    if settings.mode == "docker":
        # Of a cluster too, whatever KAFKA_BROKERS says now.
        files = [f"--file={name}" for name in CLUSTER_FILES]
        return compose(*files, "down", "--volumes", "--rmi", "local")
    if "--yes" not in arguments:
        confirm(
            console,
            f"this deletes all data in {settings.state}",
            "YES=1 make clean",
        )
    stack.down(settings)
    left = leftovers.found(settings)
    if left:
        raise StackError(leftovers.said(left))
    shutil.rmtree(settings.state, ignore_errors=True)
    console.print(f"removed {settings.state}")
    return 0


def confirm(console: Console, what: str, how: str) -> None:
    """Ask a person. Raises StackError for a no, and, with `how`, where nobody is there."""
    if not console.rich.is_terminal:
        raise StackError(f"{what}: say {how}")
    if not _is_yes(console.rich.input(f"{what}. Go on? [y/N] ")):
        raise StackError("nothing was done")


def _is_yes(answer: str) -> bool:
    return answer.strip().lower() in YES


def compose(*arguments: str) -> int:
    """Its exit code. Raises ConfigError where there is none."""
    command = compose_command()
    return subprocess.run([*command, *arguments], check=False).returncode


def compose_command() -> list[str]:
    """With its files. Raises ConfigError where there is none."""
    files = compose_files(load(StackSettings))
    for command in _COMPOSE:
        if _answers(command):
            return [*command, *(f"--file={name}" for name in files)]
    raise ConfigError(
        "MODE: docker needs Docker with compose, and neither `docker compose` nor `docker-compose` "
        "works here: install it, or leave MODE=native"
    )


def compose_files(settings: StackSettings) -> list[str]:
    """Where it is not compose's own choice. Raises ConfigError for brokers that it has not."""
    is_others = settings.compose_file or not settings.embedded_kafka()
    if settings.kafka_brokers == 1 or is_others:
        return []
    if settings.kafka_brokers != COMPOSE_BROKERS:
        raise ConfigError(
            f"KAFKA_BROKERS: {settings.kafka_brokers} is not possible with MODE=docker, which "
            f"starts 1 or {COMPOSE_BROKERS}: set one of them, or KAFKA_BOOTSTRAP_SERVERS for "
            "brokers of your own"
        )
    own = "docker-compose.override.yml"
    return [*CLUSTER_FILES, *([own] if (ROOT / own).exists() else [])]


def _answers(command: list[str]) -> bool:
    if not shutil.which(command[0]):
        return False
    return _succeeds([*command, "version"])


def _succeeds(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0
