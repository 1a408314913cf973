"""Requests to the API. What it refuses is told in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from crypto_ingest import __version__
from crypto_ingest.errors import REFUSED, UNAVAILABLE, CommandError
from crypto_ingest.settings import Settings

TIMEOUT_S = 60.0
Json = Any
Parameters = dict[str, Any]


class Api:
    """One connection. Each method raises CommandError for what is no good answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._http = httpx.Client(
            base_url=f"{settings.url}/api/v1",
            headers={
                "x-api-key": settings.key,
                "user-agent": f"crypto-ingest/{__version__}",
            },
            timeout=TIMEOUT_S,
        )

    def get(self, path: str, /, **parameters: Any) -> Json:
        """The answer as JSON. Parameters that are None are left out."""
        return self.send("GET", path, params=given(parameters)).json()

    def post(self, path: str, body: Json = None) -> Json:
        return self.send("POST", path, json=body or {}).json()

    def put(self, path: str, body: Json) -> Json:
        return self.send("PUT", path, json=body).json()

    def send(
        self, method: str, path: str, **request: Any
    ) -> httpx.Response:
        with _told(self.settings.url):
            return _good(self._http.request(method, path, **request))

    def _following(self, response: httpx.Response) -> str | None:
        """The address of the next page, whole."""
        link = response.links.get("next", {}).get("url")
        return link and str(response.url.join(link))

    @contextmanager
    def stream(
        self, path: str, parameters: Parameters
    ) -> Iterator[httpx.Response]:
        """An answer that is read in pieces."""
        with (
            _told(self.settings.url),
            self._http.stream(
                "GET", path, params=given(parameters)
            ) as response,
        ):
            if not response.is_success:
                response.read()
            yield _good(response)

    def pages(
        self, path: str, limit: int, **parameters: Any
    ) -> Iterator[Json]:
        """The rows of a list, page by page, at most `limit` (0: all)."""
        left = limit
        following: str | None = path
        asked = given(parameters) | {"limit": min(limit or 1000, 1000)}
        while following:
            response = self.send("GET", following, params=asked)
            rows = response.json()
            yield from rows[: left or None]
            left -= len(rows)
            if limit and left <= 0:
                return
            following = self._following(response)
            asked = {}  # they stand in the link


def given(parameters: Parameters) -> Parameters:
    """What is not None. A name that Python keeps for itself has a `_` at its end."""
    return {
        name.rstrip("_"): value
        for name, value in parameters.items()
        if value is not None
    }


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise CommandError(
            f"{url} cannot be reached ({error or type(error).__name__}): is it running? Try "
            "`crypto-ingest doctor`",
            UNAVAILABLE,
        ) from error


def _good(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    status = response.status_code
    code = UNAVAILABLE if status >= 500 else REFUSED
    raise CommandError(f"{detail} ({status})", code)
