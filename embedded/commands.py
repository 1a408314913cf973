"""What each command does and says."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

from embedded import kafka, stack, supervision
from embedded.console import Console
from embedded.errors import StackError
from embedded.settings import StackSettings
from shared.errors import ConfigError
from shared.runtime.settings import load


def up(console: Console, _arguments: list[str]) -> int:
    settings = stack.check_settings()
    if settings.mode == "docker":
        return _compose("up", "--build", "-d")
    started = time.monotonic()
    if not stack.up(settings, console):
        console.say("already running")
    else:
        console.say(f"all ready after {time.monotonic() - started:.0f} s")
    say_where(settings, console)
    return 0


def say_where(settings: StackSettings, console: Console) -> None:
    url, key = f"http://localhost:{settings.api_port}", settings.api_key.get_secret_value()
    console.say(f"""
  API   {url}/api/v1   (documentation: {url}/docs)
  key   {key}   in the header x-api-key

Try:
  curl -X POST -H 'x-api-key: {key}' {url}/api/v1/ingest
  curl -H 'x-api-key: {key}' '{url}/api/v1/data?limit=3'
  curl -H 'x-api-key: {key}' '{url}/api/v1/stats?limit=1'""")


def down(console: Console, _arguments: list[str]) -> int:
    settings = load(StackSettings)
    if settings.mode == "docker":
        return _compose("down")
    console.say("stopped; the data stays" if stack.down(settings) else "nothing is running")
    return 0


def status(console: Console, _arguments: list[str]) -> int:
    settings = load(StackSettings)
    if settings.mode == "docker":
        return _compose("ps")
    if not supervision.is_running(settings):
        console.say("nothing is running: start it with `make up`")
        return 3
    all_ready = True
    for process in supervision.processes(settings):
        state, service = process["statename"].lower(), process["group"]
        if service in settings.counts():
            number = int(process["name"].rpartition("-")[2])
            why = stack.not_ready(settings, service, number)
            ready = state == "running" and why is None
            state = "ready" if ready else f"{state}, not ready: {why}" if state == "running" else state
        else:
            ready = state == "running"
        all_ready &= ready
        restarts = supervision.unexpected_ends(settings, process["name"])
        console.say(
            f"  {process['name']:<14} {state:<12} {process['description']}"
            + (f", restarted {restarts} time(s), see `make logs S=supervisor`" if restarts else "")
        )
    return 0 if all_ready else 1


def logs(console: Console, arguments: list[str]) -> int:
    settings = load(StackSettings)
    if settings.mode == "docker":
        return _compose("logs", "--tail", "100", "-f", *arguments)
    name = arguments[0] if arguments else ""
    files = sorted(path for path in settings.logs.glob("*.log") if path.stem.startswith(name)) if settings.logs.is_dir() else []
    if not files:
        known = (
            ", ".join(sorted({path.stem.partition("-")[0] for path in settings.logs.glob("*.log")}))
            if settings.logs.is_dir()
            else "none yet"
        )
        raise StackError(f"there are no logs{f' of {name!r}' if name else ''} (known: {known})")
    follow = ["-F"] if console.rich.is_terminal else []
    return subprocess.run(["tail", "-n", "50", *follow, *map(str, files)], check=False).returncode


def stop(console: Console, arguments: list[str]) -> int:
    """One service, all instances of it; the others go on."""
    return _one_service(console, "stop", arguments)


def start(console: Console, arguments: list[str]) -> int:
    return _one_service(console, "start", arguments)


def _one_service(console: Console, verb: str, arguments: list[str]) -> int:
    settings = load(StackSettings)
    name = arguments[0] if arguments else ""
    if name not in settings.counts():
        raise StackError(f"say which service to {verb}: make {verb} S={'|'.join(settings.counts())}")
    if settings.mode == "docker":
        return _compose(verb, name)
    _must_run(settings)
    supervisor = supervision.rpc(settings)
    change = supervisor.stopProcessGroup if verb == "stop" else supervisor.startProcessGroup
    change(name)
    console.say(f"{name}: {'stopped' if verb == 'stop' else 'started'}")
    return 0


def kafka_groups(_console: Console, arguments: list[str]) -> int:
    """Kafka's own tool for consumer groups, pointed at the broker that runs."""
    settings = load(StackSettings)
    if settings.mode == "docker":
        tool = ["/opt/kafka/bin/kafka-consumer-groups.sh", "--bootstrap-server", "localhost:9092"]
        return _compose("exec", "-T", "kafka", *tool, *arguments)
    _must_run(settings)
    return subprocess.run(kafka.groups_command(settings, arguments), check=False).returncode


def _must_run(settings: StackSettings) -> None:
    if not supervision.is_running(settings):
        raise StackError("nothing is running: start it with `make up`")


def clean(console: Console, arguments: list[str]) -> int:
    settings = load(StackSettings)
    if settings.mode == "docker":
        return _compose("down", "--volumes", "--rmi", "local")
    if "--yes" not in arguments:
        if not console.rich.is_terminal:
            raise StackError(f"this deletes all data in {settings.state}: say YES=1 make clean")
        if console.rich.input(f"Delete all data in {settings.state}? [y/N] ").strip().lower() not in {"y", "yes"}:
            raise StackError("nothing was deleted")
    stack.down(settings)
    shutil.rmtree(settings.state, ignore_errors=True)
    console.say(f"removed {settings.state}")
    return 0


def _compose(*arguments: str) -> int:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            break
    else:
        raise ConfigError(
            "MODE: docker needs Docker with compose, and neither `docker compose` nor `docker-compose` works here: install it, or leave MODE=native"
        )
    return subprocess.run([*command, *arguments], check=False).returncode


def _demo(console: Console, arguments: list[str]) -> int:
    from embedded.demo import demo

    return demo(console, arguments)


COMMANDS: dict[str, Callable[[Console, list[str]], int]] = {
    "up": up,
    "down": down,
    "status": status,
    "logs": logs,
    "stop": stop,
    "start": start,
    "kafka-groups": kafka_groups,
    "clean": clean,
    "demo": _demo,
}
