"""Every error is an RFC 9457 problem: `application/problem+json` with type, title, status, detail."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.gateway.database import AWAY, BusyError
from shared.runtime import logs

MEDIA_TYPE = "application/problem+json"
log = logs.get(__name__)


class Problem(BaseModel):
    """RFC 9457. `errors` lists what is wrong with a request, field by field."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] | None = None


class ProblemError(Exception):
    """Raise to answer with a problem."""

    def __init__(
        self, status: int, detail: str, *, headers: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.errors = status, detail, headers or {}, errors


def unavailable(what: str, retry_after_s: int = 5) -> ProblemError:
    return ProblemError(503, what, headers={"Retry-After": str(retry_after_s)})


def respond(
    request: Request, status: int, detail: str, *, headers: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> Response:
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors:
        problem["errors"] = errors
    return Response(msgspec.json.encode(problem), status, headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: these statuses answer with a problem; so do 408 and 429, to which every route may come."""
    statuses = tuple(sorted({*statuses, 408, 429}))
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return respond(request, error.status, error.detail, headers=error.headers, errors=error.errors)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # starlette's word for a body that is not UTF-8
            return respond(request, 422, "body: it is not JSON in UTF-8", errors=[{"field": "body", "message": "it is not JSON in UTF-8"}])
        details = {404: f"there is nothing at {request.url.path}: see /docs", 405: f"{request.method} is not allowed here"}
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(request))
        return respond(request, error.status_code, details.get(error.status_code, str(error.detail)), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(map(str, each["loc"])), "message": str(each["msg"]).removeprefix("Value error, ")} for each in error.errors()
        ]
        first = errors[0] if errors else {"field": "request", "message": "is not valid"}
        return respond(request, 422, f"{first['field']}: {first['message']}", errors=errors)

    app.add_exception_handler(BusyError, _busy)
    for away in AWAY:
        app.add_exception_handler(away, _database_away)
    app.add_exception_handler(asyncpg.QueryCanceledError, _too_slow)
    app.add_exception_handler(asyncpg.DataError, _bad_value)
    app.add_exception_handler(Exception, _unexpected)


def _allowed(request: Request) -> list[str]:
    """Every method of the path; the framework names those of the first route alone."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


async def _database_away(request: Request, error: Exception) -> Response:
    log.warning("database_away", error=repr(error), path=request.url.path)
    return respond(request, 503, "the database cannot be reached: try again in a moment", headers={"Retry-After": "5"})


async def _busy(request: Request, _error: Exception) -> Response:
    return respond(request, 429, "too many requests at once: try again in a moment", headers={"Retry-After": "2"})


async def _too_slow(request: Request, _error: Exception) -> Response:
    return respond(
        request,
        503,
        "the query took too long: narrow it with symbol, source, from and to, or page with cursor instead of skip",
        headers={"Retry-After": "5"},
    )


async def _bad_value(request: Request, error: Exception) -> Response:
    return respond(request, 422, f"a value cannot be used: {error}")


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected_error", path=request.url.path, exc_info=error)
    return respond(request, 500, "an unexpected error; it is in the gateway's log")
