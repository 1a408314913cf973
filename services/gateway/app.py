"""The composition root: the only place where the gateway's parts are put together."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import compile_path

import shared
from services.gateway import problems
from services.gateway.api_key import HEADER, WrongKeys
from services.gateway.database import Database
from services.gateway.files_there import FilesThere
from services.gateway.kafka.command_bus import CommandBus
from services.gateway.live.hub import Hub
from services.gateway.metrics import stored
from services.gateway.metrics.requests import RequestMetrics
from services.gateway.middleware.access_log import AccessLog
from services.gateway.middleware.body_limit import BodyLimit
from services.gateway.middleware.head_requests import HeadRequests
from services.gateway.middleware.kept_by_clients import KeptByClients
from services.gateway.middleware.key_guard import KeyGuard
from services.gateway.middleware.read_replica import (
    AFTER_CHANGE,
    AFTER_RUN,
    HEADERS,
    ReadReplica,
    is_read,
)
from services.gateway.middleware.request_rate import RequestRate
from services.gateway.middleware.security_headers import SecurityHeaders
from services.gateway.middleware.slow_clients import SlowClients
from services.gateway.middleware.unexpected import Unexpected
from services.gateway.queries.health import SourceWatch
from services.gateway.replica import Replica, Side, StandbyDatabase
from services.gateway.requests.kept_answers import Visible
from services.gateway.routes import (
    checkpoints,
    console,
    data,
    dead_letters,
    diff,
    files,
    health,
    ingest,
    lineage,
    replay,
    runs,
    sources,
)
from services.gateway.routes.access import keys
from services.gateway.routes.catalog import coverage, instruments, series
from services.gateway.routes.configuration import (
    coins,
    feeds,
    overview,
    pauses,
    schedules,
    webhooks,
)
from services.gateway.routes.live import changes, events, services
from services.gateway.routes.news import news, sentiment
from services.gateway.routes.prices import agreement, latest, ohlcv, price
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.place import uploads_to
from shared.errors import CONFIG_EXIT_CODE, POISON_EXIT_CODE, ConfigError
from shared.kafka.starts import instance_name
from shared.runtime import logs
from shared.runtime.health import Health

DESCRIPTION = """Crypto prices, history and news in one schema.
Every endpoint but health needs the header `x-api-key`.

Errors are RFC 9457 problems (`application/problem+json`). `Link: rel="next"` leads to the next
page of every list. Answers have an `ETag`: give it as `If-None-Match`, and what has not changed is
a 304. `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds) say what a key may
still ask in this minute."""
PREFIX = "/api/v1"
# What pages of other origins may read of an answer's headers.
EXPOSED = (
    "ETag",
    "Link",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Age",
    "Retry-After",
    "Upload-Offset",
    "X-Next",
    "X-Total-Count",
    "X-Values-Pruned-Before",
)
PROBES = 2  # connections that no question can take from health checks
LOOKUPS = 2  # requests that look up many prices, at a time
MAX_BODIES_BYTES = 32 * 1024 * 1024  # of all requests together
ROUTES = (
    ingest,
    data,
    changes,
    events,
    services,
    ohlcv,
    price,
    latest,
    agreement,
    sentiment,
    news,
    series,
    instruments,
    coverage,
    lineage,
    replay,
    runs,
    diff,
    dead_letters,
    checkpoints,
    sources,
    feeds,
    coins,
    pauses,
    schedules,
    webhooks,
    overview,
    files,
    keys,
    health,
)
_EXAMPLES = Path(__file__).with_name("examples.json")
log = logs.get(__name__)


def create_app(settings: GatewaySettings, health_file: Health) -> FastAPI:
    """The app with its routes. Connects when it starts, not when it is made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings)
        questions = Database(settings, _questions_at_once(settings))
        probes = Database(settings, PROBES)
        bus = CommandBus(settings)
        app.state.probes = probes
        app.state.primary = _side(settings.reader(), database, questions)
        pools = [database, questions, probes]
        app.state.replica = None
        if settings.has_standby():
            pools += _add_standby(app, settings)
        app.state.bus = bus
        app.state.keys = bus.configuration.keys
        there: FilesThere = app.state.files_there
        app.state.source_watch = SourceWatch(probes, there)
        app.state.hub = Hub(database, bus.checkpoints, there)
        for each in pools:
            await each.start()
        connecting = asyncio.create_task(
            bus.run(instance_name(settings.health_file), health_file)
        )
        connecting.add_done_callback(_end_when_broken)
        jobs = [
            connecting,
            asyncio.create_task(_report(health_file, probes, bus)),
        ]
        if app.state.replica:
            watching = app.state.replica.keep_watched()
            jobs.append(asyncio.create_task(watching))
        if settings.metrics_port:
            measuring = stored.keep_current(
                probes, bus.checkpoints, app.state.source_watch
            )
            jobs.append(asyncio.create_task(measuring))
        yield
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await bus.close()
        for each in pools:
            await each.close()
        health_file.set(ready=False, reason="stopped")

    app = FastAPIOffline(
        title="Crypto ingestion API",
        version=shared.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        # It would lead to whatever the Host header says.
        redirect_slashes=False,
        swagger_ui_parameters={"persistAuthorization": True},
    )
    app.state.settings = settings
    app.state.health_file = health_file
    app.state.wrong_keys = WrongKeys()
    app.state.files_there = FilesThere(settings.csv_root())
    app.state.uploads = uploads_to(
        app.state.files_there.root, settings.upload_quota_mb * 1_000_000
    )
    app.state.lookups = asyncio.Semaphore(LOOKUPS)
    _add_middleware(app, settings)
    problems.install(app)
    for routes in ROUTES:
        app.include_router(routes.router, prefix=PREFIX)
    console.install(app)
    app.state.methods = list(_methods())
    _complete_document(app)
    return app


def _side(dsn: str, database: Database, questions: Database) -> Side:
    visible = Visible(database)
    return Side(
        dsn,
        database,
        questions,
        data.kept_answers(database, visible),
        ohlcv.kept_answers(questions, visible),
    )


def _add_standby(
    app: FastAPI, settings: GatewaySettings
) -> list[Database]:
    """The standby as the other side. Returns its pools."""
    primary: Side = app.state.primary
    replica = Replica(settings, app.state.probes)
    database, questions = (
        StandbyDatabase(settings, size, of, replica.lost)
        for size, of in (
            (settings.pool_size, primary.database),
            (_questions_at_once(settings), primary.questions),
        )
    )
    app.state.replica = replica
    app.state.standby = _side(settings.read_url(), database, questions)
    return [database, questions]


def _questions_at_once(settings: GatewaySettings) -> int:
    return settings.pool_size // 2 + 1


def _add_middleware(app: FastAPI, settings: GatewaySettings) -> None:
    """The last is the outermost."""
    app.add_middleware(Unexpected)
    app.add_middleware(KeptByClients)
    if settings.has_standby():
        app.add_middleware(ReadReplica)
    app.add_middleware(
        BodyLimit,
        limit=settings.max_body_bytes,
        together=MAX_BODIES_BYTES,
    )
    app.add_middleware(RequestRate, a_minute=settings.requests_per_minute)
    app.add_middleware(KeyGuard)
    if settings.cors_origins:
        _allow(app, settings.cors_origins)
    app.add_middleware(SlowClients, timeout_s=settings.client_timeout_s)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadRequests)
    if settings.access_log:
        app.add_middleware(AccessLog)
    if settings.metrics_port:
        app.add_middleware(RequestMetrics)


def _allow(app: FastAPI, origins: list[str]) -> None:
    """Let pages of other origins use the API, with the key in a header: there are no cookies."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=[
            HEADER,
            "Content-Range",
            "Content-Type",
            "Idempotency-Key",
            "If-None-Match",
            AFTER_CHANGE,
            AFTER_RUN,
            "Cache-Control",
        ],
        expose_headers=EXPOSED,
        max_age=600,
    )


def _methods() -> Iterator[tuple[re.Pattern[str], set[str]]]:
    """The pattern of each route's path, and its methods."""
    for routes in ROUTES:
        for route in routes.router.routes:
            if isinstance(route, APIRoute):
                pattern = compile_path(f"{PREFIX}{route.path}")[0]
                yield pattern, set(route.methods or ())


def _end_when_broken(job: asyncio.Task[None]) -> None:
    """End the gateway when its side of Kafka has failed.

    It is started again, or stays down for a configuration that a person must correct.
    """
    error = None if job.cancelled() else job.exception()
    if error is None:
        return
    log.critical("broker_side_ended", error=repr(error))
    if isinstance(error, ConfigError):
        sys.stderr.write(f"configuration error: {error}\n")
        os._exit(CONFIG_EXIT_CODE)
    os._exit(POISON_EXIT_CODE)


def _complete_document(app: FastAPI) -> None:
    """Problems once for all routes (`problems.documented` refers to them), and real examples."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    problems.share(document)
    _add_examples(document)
    _add_headers(document)
    return document


def _add_examples(document: dict[str, Any]) -> None:
    """Answers as the API gave them; tests hold them to the schemas."""
    for path, example in json.loads(_EXAMPLES.read_text("utf-8")).items():
        responses = document["paths"][f"{PREFIX}{path}"]["get"][
            "responses"
        ]
        responses["200"]["content"]["application/json"]["example"] = (
            example
        )


def _add_headers(document: dict[str, Any]) -> None:
    """What a middleware reads, which no route declares."""
    for operation in _read_operations(document):
        operation.setdefault("parameters", []).extend(HEADERS)


def _read_operations(
    document: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            asked = {
                "type": "http",
                "path": path,
                "method": method.upper(),
            }
            if is_read(asked):
                yield operation


async def _report(
    health_file: Health, database: Database, bus: CommandBus
) -> None:
    while True:
        missing = []
        if not await _is_up(database):
            missing.append("PostgreSQL")
        if not bus.is_connected:
            missing.append("Kafka")
        reason = (
            f"{' and '.join(missing)} cannot be reached"
            if missing
            else ""
        )
        health_file.set(ready=not missing, reason=reason)
        await asyncio.sleep(1)


async def _is_up(database: Database) -> bool:
    try:
        return await database.latency_ms() is not None
    except Exception as error:  # noqa: BLE001  a server that is going down may answer anything
        log.warning("database_check_failed", error=repr(error))
        return False
