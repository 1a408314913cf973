"""Every error is a problem of RFC 9457: `application/problem+json`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.database import DATABASE_UNAVAILABLE, BusyError
from services.gateway.requests.validation import described
from shared.runtime import logs

MEDIA_TYPE = "application/problem+json"
ALWAYS = (408, 429)  # every route may answer so
_CONTENT = {
    MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
}
FieldErrors = list[dict[str, str]]
UNKNOWN_FIELD = {"field": "request", "message": "is not valid"}
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
        self,
        status: int,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: FieldErrors | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.errors = errors


def unavailable(detail: str) -> ProblemError:
    """503: try again in a moment."""
    return ProblemError(503, detail, headers={"Retry-After": "5"})


def field_problem(field: str, message: str) -> ProblemError:
    """422 for a field, such as `query.limit`."""
    errors = [{"field": field, "message": message}]
    return ProblemError(422, f"{field}: {message}", errors=errors)


def respond(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: FieldErrors | None = None,
) -> Response:
    """The response with a problem."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors:
        problem["errors"] = errors
    return Response(
        msgspec.json.encode(problem), status, headers, MEDIA_TYPE
    )


def answered(error: ProblemError) -> ASGIApp:
    """An app that answers a problem and closes the connection, whatever else is sent on it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {**error.headers, "Connection": "close"}
        response = respond(
            Request(scope), error.status, error.detail, headers=headers
        )
        await response(scope, receive, send)

    return app


def refuse(status: int, detail: str) -> ASGIApp:
    """As `answered`."""
    return answered(ProblemError(status, detail))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: these statuses, and `ALWAYS`, answer with a problem."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": _CONTENT,
        }
        for status in sorted({*statuses, *ALWAYS})
    }


def share(document: dict[str, Any]) -> None:
    """Let all routes of an OpenAPI document refer to one response with a problem."""
    components = document["components"]
    components["schemas"]["Problem"] = Problem.model_json_schema()
    components["responses"] = {
        "Problem": {
            "description": "What is wrong, and what to do",
            "content": _CONTENT,
        }
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            for status, response in responses.items():
                if response.get("content") == _CONTENT:
                    responses[status] = {
                        "$ref": "#/components/responses/Problem"
                    }


def install(app: FastAPI) -> None:
    """Have every error of the app answered with a problem."""
    handlers: dict[type[Exception], Any] = {
        ProblemError: _on_problem,
        HTTPException: _on_http_error,
        RequestValidationError: _on_invalid_request,
        BusyError: _on_busy,
        asyncpg.QueryCanceledError: _on_slow_query,
        asyncpg.DataError: _on_bad_value,
        UnicodeEncodeError: _on_half_a_character,
        RecursionError: _on_depth,
        **dict.fromkeys(DATABASE_UNAVAILABLE, _on_database_unavailable),
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


async def _on_problem(request: Request, error: ProblemError) -> Response:
    return respond(
        request,
        error.status,
        error.detail,
        headers=error.headers,
        errors=error.errors,
    )


async def _on_http_error(
    request: Request, error: HTTPException
) -> Response:
    headers = dict(error.headers or {})
    path = request.url.path
    match error.status_code:
        case 400:  # starlette's answer to a body that is not UTF-8
            return await _on_problem(
                request, field_problem("body", "it is not JSON in UTF-8")
            )
        case 404:
            return respond(
                request,
                404,
                f"there is nothing at {path}: see /docs",
                headers=headers,
            )
        case 405:
            headers["Allow"] = ", ".join(_allowed(request))
            detail = f"{request.method} is not allowed here"
            return respond(request, 405, detail, headers=headers)
        case status:
            return respond(
                request, status, str(error.detail), headers=headers
            )


def _allowed(request: Request) -> list[str]:
    """Every method of the path; the framework names those of the first route, if any."""
    methods: set[str] = set()
    for pattern, of_route in request.app.state.methods:
        if pattern.match(request.url.path):
            methods |= of_route
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)


async def _on_invalid_request(
    request: Request, error: RequestValidationError
) -> Response:
    errors = list(described(error.errors(), request))
    first = errors[0] if errors else UNKNOWN_FIELD
    return respond(
        request,
        422,
        f"{first['field']}: {first['message']}",
        errors=errors,
    )


async def _on_database_unavailable(
    request: Request, error: Exception
) -> Response:
    log.warning("database_away", error=repr(error), path=request.url.path)
    detail = "the database cannot be reached: try again in a moment"
    return respond(request, 503, detail, headers={"Retry-After": "5"})


async def _on_busy(request: Request, _error: Exception) -> Response:
    detail = "too many requests at once: try again in a moment"
    return respond(request, 429, detail, headers={"Retry-After": "2"})


async def _on_slow_query(request: Request, _error: Exception) -> Response:
    detail = (
        "the query took too long: narrow it with symbol, source, from and to, or page with cursor "
        "instead of skip"
    )
    return respond(request, 503, detail, headers={"Retry-After": "5"})


async def _on_bad_value(request: Request, error: Exception) -> Response:
    return respond(request, 422, f"a value cannot be used: {error}")


async def _on_half_a_character(
    request: Request, _error: Exception
) -> Response:
    """JSON can say one, and no text that is stored can."""
    detail = "a text has half a character (a lone surrogate such as \\ud800): leave it out"
    return respond(request, 422, detail)


async def _on_depth(request: Request, _error: Exception) -> Response:
    detail = "it lies too deep in itself to be shown"
    return respond(request, 422, detail)


def unexpected(request: Request, error: Exception) -> Response:
    """The response to an error that nobody foresaw; the log has it."""
    log.error("unexpected_error", path=request.url.path, exc_info=error)
    return respond(
        request, 500, "an unexpected error; it is in the gateway's log"
    )
