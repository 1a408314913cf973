"""What is wrong, why, and what to do."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from crypto_ingest import __version__
from crypto_ingest.client import Api
from crypto_ingest.errors import REFUSED, CommandError
from crypto_ingest.output import ago, span
from crypto_ingest.settings import DEV_KEY, Settings

SERVICES = ("extractor", "normalizer", "loader", "gateway")
MANY_WAIT = 100
NEARLY_SPENT = 0.9
LEAST_FREE = 5_000_000_000  # bytes
OLD_BACKUP_S = 2 * 86_400
TIMEOUT_S = 5.0
Json = Any
# What to do about each reason of /health, by its code.
_HELP = {
    "kafka_away": "start Kafka; what was read waits in the sources and topics",
    "database_away": "start PostgreSQL; what was read waits in Kafka",
    "disk_full": "free room where PostgreSQL and Kafka write; then it goes on by itself",
    "stuck": "look at the log of that service; it ends itself and starts anew",
    "restarts": "look at the log of that service for why it ends",
    "data_gap": "what was removed from Kafka is read again by `crypto-ingest runs repair RUN`",
    "stream_failing": "`crypto-ingest sources` says which and why",
    "source_stale": "is the extractor ready? `crypto-ingest runs list` shows what was tried",
    "disk_nearly_full": "docs/run-it.md says what can be removed",
    "budget_exhausted": "raise COINPAPRIKA_CALLS_PER_MONTH if the plan allows, or wait",
}


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    CARE = "care"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, what was `found`, and what to `do` where something is wrong."""

    level: Level
    what: str
    found: str
    do: str = ""


def findings(settings: Settings) -> Iterator[Finding]:
    """In the order in which they are to be mended. Ends early where nothing can be asked."""
    reached = _reached(settings)
    yield reached
    if reached.level is Level.BAD:
        return
    api = Api(settings)
    key = _key(api, settings)
    yield key
    if key.level is Level.BAD:
        return
    yield from _looked(api, "health", _health)
    yield from _looked(api, "services", _services)
    yield from _looked(api, "sources", _sources)
    yield from _looked(api, "dead letters", _letters)
    yield from _disk(settings)
    yield from _backups(settings)


def _reached(settings: Settings) -> Finding:
    what = "address"
    try:
        answer = httpx.get(
            f"{settings.url}/api/v1/health/live", timeout=TIMEOUT_S
        )
        is_ours = answer.json().get("status") == "live"
    except httpx.TransportError as error:
        return Finding(
            Level.BAD, what, f"{settings.url}: {error}", _how(settings)
        )
    except ValueError:
        is_ours = False
    if is_ours:
        return Finding(Level.GOOD, what, f"{settings.url} answers")
    return Finding(
        Level.BAD,
        what,
        f"{settings.url} is something else",
        "give the address of the gateway: --url, or CRYPTO_INGEST_URL",
    )


def _how(settings: Settings) -> str:
    """What to do about an address that does not answer."""
    parts = urlsplit(settings.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection(
            (parts.hostname or "", port), TIMEOUT_S
        ):
            return f"port {port} is open but does not answer in time: look at `make status`"
    except OSError:
        return f"nothing listens at port {port}: `make up` starts it; API_PORT in .env says where"


def _key(api: Api, settings: Settings) -> Finding:
    what = "key"
    try:
        api.get("/stats", limit=1)
    except CommandError as error:
        if error.code != REFUSED:
            return Finding(Level.CARE, what, str(error), "see below")
        return Finding(
            Level.BAD,
            what,
            str(error),
            "give API_KEY of .env: --key, or CRYPTO_INGEST_KEY",
        )
    if settings.key == DEV_KEY and not _is_here(settings):
        return Finding(
            Level.BAD,
            what,
            "the default key opens an API of another machine",
            "set API_KEY in its .env and start it again",
        )
    return Finding(Level.GOOD, what, "it is taken")


def _looked(
    api: Api, what: str, look: Callable[[Api], Iterator[Finding]]
) -> Iterator[Finding]:
    """What one look finds; an answer that is none is a finding too."""
    try:
        yield from look(api)
    except CommandError as error:
        yield Finding(Level.BAD, what, str(error), "see the lines above")


def _health(api: Api) -> Iterator[Finding]:
    try:
        health = api.get("/health")
    except CommandError as error:
        yield Finding(
            Level.BAD, "database", str(error), _HELP["database_away"]
        )
        return
    for reason in health["reasons"]:
        code, _, text = reason.partition(": ")
        yield Finding(Level.BAD, code, text, _HELP.get(code, ""))
    if not health["reasons"]:
        yield Finding(
            Level.GOOD, "health", "database and Kafka are connected"
        )
    for name, waiting in (health["lag"] or {}).items():
        if waiting > MANY_WAIT:
            yield Finding(
                Level.CARE,
                "lag",
                f"{waiting:,} pages wait for the {name}",
                "it is at work; where it stays so, run more of it (docs/operations.md)",
            )
    last = health["last_run"]
    if last is None:
        yield Finding(
            Level.CARE,
            "runs",
            "there was none",
            "`crypto-ingest ingest` makes one; INGEST_EVERY_S a schedule",
        )
    elif last["status"] in ("failed", "incomplete"):
        yield Finding(
            Level.BAD,
            "runs",
            f"the last one is {last['status']}",
            f"`crypto-ingest runs show {last['run_id']}` says why",
        )
    else:
        when = ago(health["last_run_time"])
        yield Finding(
            Level.GOOD,
            "runs",
            f"the last one {last['status']} {when} ago",
        )


def _services(api: Api) -> Iterator[Finding]:
    found = api.get("/services")
    alive = [each for each in found if each["alive"]]
    for name in SERVICES:
        own = [each for each in alive if each["service"] == name]
        if not own:
            yield Finding(
                Level.BAD,
                name,
                "none was heard of in the last 15 seconds",
                f"look at `make status` and `make logs S={name}`",
            )
        for each in own:
            if not each["ready"]:
                yield Finding(
                    Level.BAD,
                    name,
                    f"{each['instance']} is not ready: {each['reason']}",
                    f"look at `make logs S={name}`",
                )
    versions = sorted({each["version"] for each in alive})
    if len(versions) > 1:
        yield Finding(
            Level.CARE,
            "versions",
            f"services of {' and '.join(versions)} run side by side",
            "as it is while an upgrade goes on; else start the old ones again",
        )
    elif versions:
        yield Finding(
            Level.GOOD,
            "versions",
            f"services {versions[0]}, this command line {__version__}",
        )


def _sources(api: Api) -> Iterator[Finding]:
    for each in api.get("/sources"):
        for failing in each["failing"]:
            yield Finding(
                Level.BAD,
                failing["stream"],
                failing["message"],
                f"failed {ago(failing['failed_at'])} ago; `crypto-ingest ingest "
                f"{failing['stream']}` tries again",
            )
        yield from _budget(each["name"], each["budget"])


def _budget(name: str, budget: Json) -> Iterator[Finding]:
    if not budget or not budget["per_month"]:
        return
    used, most = budget["used"], budget["per_month"]
    forecast = budget["forecast_per_month"] or 0
    if used > NEARLY_SPENT * most:
        yield Finding(
            Level.CARE,
            f"{name} budget",
            f"{used:,} of {most:,} calls of {budget['month']} are made",
            "ask less often, for fewer coins, or buy a larger plan",
        )
    if forecast > most:
        yield Finding(
            Level.CARE,
            f"{name} budget",
            f"the schedule makes {forecast:,} calls in 30 days, {most:,} are allowed",
            "raise INGEST_EVERY_S or take coins out of COIN_IDS",
        )


def _letters(api: Api) -> Iterator[Finding]:
    rows = list(api.pages("/dead-letters", 1000, status="open"))
    number = sum(row["count"] for row in rows)
    if not number:
        yield Finding(Level.GOOD, "dead letters", "none is open")
        return
    more = " or more" if len(rows) == 1000 else ""
    yield Finding(
        Level.CARE,
        "dead letters",
        f"{number:,}{more} records could not be processed",
        "`crypto-ingest dead-letters list` says which and why",
    )


def _disk(settings: Settings) -> Iterator[Finding]:
    """Of this machine, where the product runs on it."""
    if not _is_here(settings):
        return
    free = shutil.disk_usage(".").free
    level = Level.CARE if free < LEAST_FREE else Level.GOOD
    do = (
        "docs/run-it.md says what can be removed"
        if level is Level.CARE
        else ""
    )
    yield Finding(level, "disk", f"{free / 1e9:.0f} GB are free here", do)


def _backups(settings: Settings) -> Iterator[Finding]:
    """Below `backups/` of the folder that it is called in, where the product runs here."""
    folder = Path("backups")
    if not _is_here(settings) or not Path("embedded").is_dir():
        return
    made = [
        each.parent.stat().st_mtime
        for each in folder.glob("*/manifest.json")
    ]
    if not made:
        yield Finding(
            Level.CARE,
            "backups",
            "there is none below backups/",
            "`make backup`, and copy it to another machine",
        )
        return
    age_s = time.time() - max(made)
    is_old = age_s > OLD_BACKUP_S
    yield Finding(
        Level.CARE if is_old else Level.GOOD,
        "backups",
        f"the newest is {span(age_s)} old",
        "`make backup`" if is_old else "",
    )


def _is_here(settings: Settings) -> bool:
    return urlsplit(settings.url).hostname in (
        "localhost",
        "127.0.0.1",
        "::1",
    )
