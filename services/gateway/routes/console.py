"""The console at `/`: files that `console/` was built into. It asks the API, as anybody does.

Names of assets have a hash of what is in them, so browsers keep them for good. Where it was not
built, `/` says why, and the API works all the same. `/console/key` hands out the key for a one-time
code.
"""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field

from services.gateway.api_key import wrong
from services.gateway.settings import GatewaySettings
from shared.identity import one_time_codes
from shared.monitoring.service_state import STARTED_AT

BUILT = Path(__file__).parents[3] / "console" / "dist"
NOT_BUILT = "not-built.txt"  # says why; `make up` and the image leave it
FOREVER = "public, max-age=31536000, immutable"
ZIPPED_FROM = 1_024
# Nothing from elsewhere, nothing inline.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
WRONG_CODE = (
    "this code was used, is older than a minute, or was made with another key: run `make open`"
    " again"
)
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _File:
    body: bytes
    zipped: bytes
    media_type: str


def install(app: FastAPI, built: Path = BUILT) -> None:
    """`built`: the folder with `index.html` and `assets/`, whether or not it is there."""
    app.state.console = built
    app.state.used_codes = {}
    app.include_router(router)


@router.get("/")
async def read_console(request: Request) -> Response:
    """Its page; 503 with what to do where there is none."""
    built: Path = request.app.state.console
    found = await asyncio.to_thread(_read, built / "index.html")
    if found is None:
        return PlainTextResponse(_why_not(built), status_code=503)
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-cache",
    }
    return _answer(request, found, headers)


class Code(BaseModel):
    """Of the address that `make open` leads to."""

    code: str = Field(max_length=one_time_codes.MAX_CODE)


@router.post("/console/key")
async def take_code(request: Request, body: Code) -> Response:
    """The key for a code that was not taken here before. Raises ProblemError 403, 429."""
    settings: GatewaySettings = request.app.state.settings
    used: dict[str, float] = request.app.state.used_codes
    key = settings.api_key.get_secret_value()
    now = time.time()
    # Slow the first time.
    end = await asyncio.to_thread(
        one_time_codes.end_of, key, body.code, now, STARTED_AT
    )
    _forget_old(used, now)
    if end is None or body.code in used:
        raise wrong(request, WRONG_CODE)
    used[body.code] = end
    return JSONResponse(
        {"key": key}, headers={"Cache-Control": "no-store"}
    )


def _forget_old(used: dict[str, float], now: float) -> None:
    for code in [each for each, end in used.items() if end <= now]:
        del used[code]


@router.get("/assets/{name}")
async def read_asset(request: Request, name: str) -> Response:
    """A file that it names."""
    built: Path = request.app.state.console
    found = None
    if Path(name).name == name:
        found = await asyncio.to_thread(_read, built / "assets" / name)
    if found is None:
        return PlainTextResponse(
            "there is no such file: load / again", status_code=404
        )
    return _answer(request, found, {"Cache-Control": FOREVER})


def _why_not(built: Path) -> str:
    try:
        why = (built / NOT_BUILT).read_text("utf-8").strip()
    except OSError:
        why = "it was not built: run `make console`"
    return (
        f"There is no console: {why}\nThe API works all the same: /docs\n"
    )


def _read(path: Path) -> _File | None:
    try:
        changed = path.stat().st_mtime_ns
        return _read_once(path, changed)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return None


@lru_cache(maxsize=32)
def _read_once(path: Path, _changed: int) -> _File:
    body = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0]
    return _File(
        body,
        gzip.compress(body),
        media_type or "application/octet-stream",
    )


def _answer(
    request: Request, file: _File, headers: dict[str, str]
) -> Response:
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    headers["Vary"] = "Accept-Encoding"
    body = file.body
    if takes_gzip and len(body) >= ZIPPED_FROM:
        headers["Content-Encoding"] = "gzip"
        body = file.zipped
    return Response(body, media_type=file.media_type, headers=headers)
