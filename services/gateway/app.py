"""The composition root: the only place where the gateway's parts are put together."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.routing import compile_path

import shared
from services.gateway import problems
from services.gateway.api_key import WrongKeys
from services.gateway.command_bus import CommandBus
from services.gateway.database import Database
from services.gateway.middleware.access_log import AccessLog
from services.gateway.middleware.body_limit import BodyLimit
from services.gateway.middleware.key_guard import KeyGuard
from services.gateway.middleware.security_headers import SecurityHeaders
from services.gateway.middleware.slow_clients import SlowClients
from services.gateway.requests.kept_answers import Visible
from services.gateway.routes import (
    checkpoints,
    data,
    dead_letters,
    diff,
    health,
    ingest,
    lineage,
    replay,
    runs,
    sources,
)
from services.gateway.routes.catalog import coverage, instruments, series
from services.gateway.routes.prices import agreement, latest, ohlcv, price
from services.gateway.settings import GatewaySettings
from shared.errors import CONFIG_EXIT_CODE, POISON_EXIT_CODE, ConfigError
from shared.runtime import logs
from shared.runtime.health import Health

DESCRIPTION = """Crypto prices, history and news in one schema.
Every endpoint but health needs the header `x-api-key`.

Errors are RFC 9457 problems (`application/problem+json`). `Link: rel="next"` leads to the next
page of `/data`, `/dead-letters`, `/raw` and `/runs/{a}/diff/{b}`; `/stats` and `/checkpoints` take
`skip`."""
PREFIX = "/api/v1"
MAX_BODIES_BYTES = 32 * 1024 * 1024  # of all requests together
ROUTES = (
    ingest,
    data,
    ohlcv,
    price,
    latest,
    agreement,
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
    health,
)
log = logs.get(__name__)


def create_app(settings: GatewaySettings, health_file: Health) -> FastAPI:
    """The app with its routes. Connects when it starts, not when it is made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings)
        bus = CommandBus(settings)
        app.state.database = database
        visible = Visible(database)
        app.state.data_answers = data.kept_answers(database, visible)
        app.state.ohlcv_answers = ohlcv.kept_answers(database, visible)
        app.state.bus = bus
        await database.start()
        connecting = asyncio.create_task(bus.run())
        connecting.add_done_callback(_end_when_broken)
        reporting = asyncio.create_task(
            _report(health_file, database, bus)
        )
        yield
        for job in (connecting, reporting):
            job.cancel()
        await asyncio.gather(
            connecting, reporting, return_exceptions=True
        )
        await bus.close()
        await database.close()
        health_file.set(ready=False, reason="stopped")

    app = FastAPIOffline(
        title="Crypto ingestion API",
        version=shared.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        # It would lead to whatever the Host header says.
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.health_file = health_file
    app.state.wrong_keys = WrongKeys()
    app.add_middleware(
        BodyLimit,
        limit=settings.max_body_bytes,
        together=MAX_BODIES_BYTES,
    )
    app.add_middleware(KeyGuard)
    app.add_middleware(SlowClients, timeout_s=settings.client_timeout_s)
    app.add_middleware(SecurityHeaders)
    if settings.access_log:
        app.add_middleware(AccessLog)
    problems.install(app)
    for routes in ROUTES:
        app.include_router(routes.router, prefix=PREFIX)
    app.state.methods = list(_methods())
    _document_problems(app)
    return app


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


def _document_problems(app: FastAPI) -> None:
    """Put the Problem schema into the OpenAPI document: `problems.documented` refers to it."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        document = generate()
        document["components"]["schemas"]["Problem"] = (
            problems.Problem.model_json_schema()
        )
        return document

    app.openapi = openapi  # type: ignore[method-assign]


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
