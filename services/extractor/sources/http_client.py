"""HTTP for sources: a total deadline, a cap on decoded bytes, retries, no private networks.

Every failure is a `TaskError` whose code says what it was; its text is for people.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import stamina

import shared
from shared.errors import TaskError

MAX_RETRY_AFTER_S = 30.0  # that a task sleeps
DAY_S = 86_400.0
MAX_REDIRECTS = 5
MAX_ADDRESSES = 4  # of a name, tried in turn
CHUNK = 65_536
USER_AGENT = f"crypto-ingest/{shared.__version__}"
KEPT_HEADERS = (
    "content-type",
    "last-modified",
    "etag",
    "date",
    "cache-control",
    "age",
)
PERMANENT_REDIRECTS = (301, 308)
BAD_REQUESTS = (
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
)
STATUS_CODES = {
    401: "forbidden",
    402: "plan_limit",
    403: "forbidden",
    404: "not_found",
    410: "gone",
}


@dataclass(frozen=True)
class Answer:
    """A complete answer.

    `url`: where it came from after redirects. `moved_to`: where to ask from now on (301, 308).
    """

    url: str
    status: int
    headers: httpx.Headers
    body: bytes
    moved_to: str | None = None

    def origin(self) -> dict[str, Any]:
        """What the audit trail keeps of the fetch."""
        return {
            "url": self.url,
            "status": self.status,
            "headers": picked(self.headers, KEPT_HEADERS),
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "bytes": len(self.body),
        }


class RetryableError(TaskError):
    """Worth another attempt, after `wait_s` where the server named a time."""

    def __init__(
        self, code: str, message: str, wait_s: float | None = None
    ) -> None:
        super().__init__(code, message)
        self.wait_s = wait_s


class BlockedAddressError(OSError):
    """The name resolves to an address that must not be reached."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name itself, refuses private addresses, connects to the address it checked."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolved(host, port)
        if not self._allow_private:
            for address in addresses:
                self._refuse_private(host, address)
        last: Exception = httpcore.ConnectError(
            f"dns: no address for {host}"
        )
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (
                httpcore.ConnectError,
                httpcore.ConnectTimeout,
            ) as error:
                last = error
        raise last

    @staticmethod
    def _refuse_private(host: str, address: str) -> None:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not ip.is_global or ip.is_multicast:
            raise BlockedAddressError(
                f"{host} is {ip}, a private address"
            )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise BlockedAddressError("Unix sockets are not fetched from")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, each once. Raises httpcore.ConnectError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"dns: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HttpClient:
    """One per extractor; closed at its end."""

    def __init__(
        self,
        *,
        allow_private: bool,
        attempts: int,
        timeout_s: float,
        max_bytes: int,
    ) -> None:
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        transport = httpx.AsyncHTTPTransport()
        # httpx has no public way to hand a network backend to its pool; a test fails should this
        # stop working.
        transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
            ssl_context=ssl.create_default_context(),
            network_backend=GuardedBackend(allow_private=allow_private),
            max_connections=20,
        )
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            timeout=httpx.Timeout(20, connect=10),
            headers={
                "user-agent": USER_AGENT,
                "accept-encoding": "gzip, deflate",
            },
        )

    async def start(self, stop: asyncio.Event) -> bool:
        return True

    async def close(self) -> None:
        await self._client.aclose()

    async def get(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        accept: str = "*/*",
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> Answer:
        """GET with retries, `before` each of which is awaited.

        Returns 2xx and 304 answers; everything else raises TaskError.
        """
        attempts = stamina.retry_context(
            on=_worth_a_retry,
            attempts=self._attempts,
            timeout=self._timeout_s,
            wait_initial=0.3,
            wait_max=10,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                async for attempt in attempts:
                    with attempt:
                        if before is not None:
                            await before()
                        return await self._get_once(
                            url, {"accept": accept, **(headers or {})}
                        )
        except TimeoutError:
            message = f"{_host(url)} did not answer completely within {self._timeout_s:.0f} s"
            raise TaskError("timeout", message) from None
        raise AssertionError("unreachable: stamina returns or raises")

    async def _get_once(
        self, url: str, headers: dict[str, str]
    ) -> Answer:
        with _errors_as_task_errors(url):
            request = self._client.stream("GET", url, headers=headers)
            async with request as response:
                body = await self._body(url, response)
        return _checked(_answer(response, body))

    async def _body(self, url: str, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes(CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large(url)
        return bytes(body)

    def _too_large(self, url: str) -> TaskError:
        sent = f"{_host(url)} sent more than {self._max_bytes} bytes"
        return TaskError("limit_exceeded", f"{sent}: cut off there")


@contextmanager
def _errors_as_task_errors(url: str) -> Iterator[None]:
    # The host is looked up where it is named: a URL may have none that can be parsed.
    try:
        yield
    except BlockedAddressError as error:
        hint = "ALLOW_PRIVATE_URLS=true allows it, for development"
        raise TaskError(
            "blocked_address", f"{error}: refused ({hint})"
        ) from None
    except httpx.TooManyRedirects:
        message = (
            f"{_host(url)} redirects more than {MAX_REDIRECTS} times"
        )
        raise TaskError("redirect_loop", message) from None
    except BAD_REQUESTS as error:
        raise TaskError(
            "bad_url", f"{url} cannot be fetched: {error}"
        ) from None
    except httpx.TimeoutException:
        raise RetryableError(
            "timeout", f"{_host(url)} did not answer in time"
        ) from None
    except httpx.DecodingError as error:
        sent = f"{_host(url)} sent a body that cannot be decompressed"
        raise TaskError("contract", f"{sent}: {error}") from None
    except httpx.HTTPError as error:
        raise _transport_error(url, error) from None


def _worth_a_retry(error: Exception) -> bool | float:
    if not isinstance(error, RetryableError):
        return False
    if error.wait_s is None:
        return True
    return error.wait_s if error.wait_s <= MAX_RETRY_AFTER_S else False


def picked(
    headers: httpx.Headers, names: Iterable[str]
) -> dict[str, str]:
    """Those of these headers that are there."""
    return {name: headers[name] for name in names if name in headers}


def _answer(response: httpx.Response, body: bytes) -> Answer:
    return Answer(
        str(response.url),
        response.status_code,
        response.headers,
        body,
        _moved_to(response),
    )


def _moved_to(response: httpx.Response) -> str | None:
    """Where the permanent redirects at the beginning of the way lead to."""
    moved = len(list(takewhile(_is_permanent, response.history)))
    way = [*response.history, response]
    return str(way[moved].url) if moved else None


def _is_permanent(hop: httpx.Response) -> bool:
    return hop.status_code in PERMANENT_REDIRECTS


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _shown_url(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{_host(url)}{parts.path}"


def _transport_error(url: str, error: httpx.HTTPError) -> TaskError:
    text = str(error)
    host = _host(url)
    if text.startswith("dns:"):
        return RetryableError(
            "dns_failure",
            f"{host} cannot be resolved: is there a network?",
        )
    if "CERTIFICATE" in text or "SSL" in text:
        return TaskError("tls_error", f"{host}: {text}")
    reason = text or type(error).__name__
    return RetryableError(
        "connection_failed", f"{host} cannot be reached: {reason}"
    )


def _checked(answer: Answer) -> Answer:
    """The policy for statuses, in one place."""
    status = answer.status
    if 200 <= status < 300 or status == 304:
        return answer
    shown = answer.body[:200].decode("utf-8", "replace").strip()
    message = f"{_shown_url(answer.url)} answered {status}: {shown}"
    if status == 429:
        raise RetryableError(
            "rate_limited", message, _retry_after(answer.headers)
        )
    if status == 503:
        raise RetryableError(
            "upstream_error", message, _retry_after(answer.headers)
        )
    if status >= 500:
        raise RetryableError("upstream_error", message)
    raise TaskError(
        STATUS_CODES.get(status, "rejected_by_source"), message
    )


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; at most a day."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), DAY_S)
    moment = http_date(value)
    if moment is None:
        return None
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), DAY_S)


def http_date(text: str) -> datetime | None:
    """A date of a header; None for what is none."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
