"""The composition root of the gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from services.gateway import problems
from services.gateway.command_bus import Broker
from services.gateway.database import Database
from services.gateway.dependencies import WrongKeys
from services.gateway.middleware.body_limit import BodyLimit
from services.gateway.middleware.slow_clients import SlowClients
from services.gateway.routes import checkpoints, data, dead_letters, diff, health, ingest, lineage, replay, runs, sources
from services.gateway.settings import GatewaySettings
from shared.errors import CONFIG_EXIT_CODE, POISON_EXIT_CODE, ConfigError
from shared.runtime import logs
from shared.runtime.health import Health

log = logs.get(__name__)
DESCRIPTION = """Crypto prices, history and news in one schema. Every endpoint but health needs the header `x-api-key`.

Errors are RFC 9457 problems (`application/problem+json`). `Link: rel="next"` leads to the next page of
`/data`, `/dead-letters`, `/raw` and `/runs/{a}/diff/{b}`; `/stats` and `/checkpoints` take `skip`."""


def create_app(settings: GatewaySettings, health_file: Health) -> FastAPI:
    """The app with its routes. Connects when it starts, not when it is made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database, broker = Database(settings), Broker(settings)
        app.state.database, app.state.broker = database, broker
        await database.start()
        connecting = asyncio.create_task(broker.run())
        connecting.add_done_callback(_end_when_broken)
        jobs = [connecting, asyncio.create_task(_report(health_file, database, broker))]
        yield
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await broker.close()
        await database.close()
        health_file.set(ready=False, reason="stopped")

    app = FastAPIOffline(
        title="Crypto ingestion API", version="0.1.0", description=DESCRIPTION, lifespan=lifespan, openapi_url="/openapi.json"
    )
    app.state.settings = settings
    app.state.wrong_keys = WrongKeys()
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(SlowClients, timeout_s=settings.client_timeout_s)
    problems.install(app)
    for routes in (ingest, data, lineage, replay, runs, diff, dead_letters, checkpoints, sources, health):
        app.include_router(routes.router, prefix="/api/v1")
    _document_problems(app)
    return app


def _end_when_broken(job: asyncio.Task[None]) -> None:
    """Without its side of Kafka the gateway is started anew, or stays down for what a person must mend."""
    if job.cancelled() or job.exception() is None:
        return
    error = job.exception()
    log.critical("broker_side_ended", error=repr(error))
    if isinstance(error, ConfigError):
        sys.stderr.write(f"configuration error: {error}\n")
    os._exit(CONFIG_EXIT_CODE if isinstance(error, ConfigError) else POISON_EXIT_CODE)


def _document_problems(app: FastAPI) -> None:
    """Put the Problem schema into the OpenAPI document, to which the routes' `documented` refer."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        document = made()
        document["components"]["schemas"]["Problem"] = problems.Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]


async def _report(health_file: Health, database: Database, broker: Broker) -> None:
    while True:
        try:
            is_up = await database.latency_ms() is not None
        except Exception as error:  # noqa: BLE001  whatever a server that is going down says, the report goes on
            log.warning("database_check_failed", error=repr(error))
            is_up = False
        missing = [name for name, up in (("PostgreSQL", is_up), ("Kafka", broker.connected)) if not up]
        health_file.set(ready=not missing, reason=f"{' and '.join(missing)} cannot be reached" if missing else "")
        await asyncio.sleep(1)
