"""HTTP for sources: a total deadline, a cap on decoded bytes, retries, and no way into private networks.

Every failure is a `TaskError` whose code says what it was; its text is for people.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import stamina

from shared.errors import TaskError

MAX_RETRY_AFTER_S = 30.0  # that a task sleeps
DAY_S = 86_400.0
USER_AGENT = "crypto-ingest/0.1"


@dataclass(frozen=True)
class Answer:
    """A complete answer. `url` is where it came from after redirects, `moved_to` where to ask from now on (301, 308)."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes
    moved_to: str | None = None

    def origin(self) -> dict[str, Any]:
        """What the audit trail keeps of the fetch."""
        kept = ("content-type", "last-modified", "etag", "date", "cache-control", "age")
        return {
            "url": self.url,
            "status": self.status,
            "headers": {n: self.headers[n] for n in kept if n in self.headers},
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "bytes": len(self.body),
        }


class RetryableError(TaskError):
    """Worth another attempt, after `wait_s` where the server named a time; not now, where that is long."""

    def __init__(self, code: str, message: str, wait_s: float | None = None) -> None:
        super().__init__(code, message)
        self.wait_s = wait_s


class BlockedAddressError(OSError):
    """The name resolves to an address that must not be reached."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name itself, refuses private addresses and connects to the very address that it checked."""

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
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"dns: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._allow_private:
            for address in addresses:
                self._refuse_private(host, address)
        last: Exception = httpcore.ConnectError(f"dns: no address for {host}")
        for address in addresses[:4]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    @staticmethod
    def _refuse_private(host: str, address: str) -> None:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not ip.is_global or ip.is_multicast:
            raise BlockedAddressError(f"{host} is {ip}, a private address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise BlockedAddressError("Unix sockets are not fetched from")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class HttpClient:
    """One per extractor; closed at its end."""

    def __init__(self, *, allow_private: bool, attempts: int, timeout_s: float, max_bytes: int) -> None:
        self._attempts, self._timeout_s, self._max_bytes = attempts, timeout_s, max_bytes
        transport = httpx.AsyncHTTPTransport()
        # httpx has no public way to hand a network backend to its pool; a test fails should this stop working.
        transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
            ssl_context=ssl.create_default_context(), network_backend=GuardedBackend(allow_private=allow_private), max_connections=20
        )
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=True,
            max_redirects=5,
            timeout=httpx.Timeout(20, connect=10),
            headers={"user-agent": USER_AGENT, "accept-encoding": "gzip, deflate"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(
        self, url: str, *, headers: dict[str, str] | None = None, accept: str = "*/*", before: Callable[[], Awaitable[None]] | None = None
    ) -> Answer:
        """GET with retries, `before` each of which is awaited. Returns 2xx and 304 answers; everything else raises TaskError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                async for attempt in stamina.retry_context(
                    on=_worth_a_retry, attempts=self._attempts, timeout=self._timeout_s, wait_initial=0.3, wait_max=10
                ):
                    with attempt:
                        if before is not None:
                            await before()
                        return await self._get_once(url, {"accept": accept, **(headers or {})})
        except TimeoutError:
            raise TaskError("timeout", f"{_host(url)} did not answer completely within {self._timeout_s:.0f} s") from None
        raise AssertionError("unreachable: stamina returns or raises")

    async def _get_once(self, url: str, headers: dict[str, str]) -> Answer:
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes(65536):
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise TaskError("limit_exceeded", f"{_host(url)} sent more than {self._max_bytes} bytes: cut off there")
                answer = Answer(str(response.url), response.status_code, response.headers, bytes(body), _moved_to(response))
        except BlockedAddressError as error:
            raise TaskError("blocked_address", f"{error}: refused (ALLOW_PRIVATE_URLS=true allows it, for development)") from None
        except httpx.TooManyRedirects:
            raise TaskError("redirect_loop", f"{_host(url)} redirects more than 5 times") from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise TaskError("bad_url", f"{url} cannot be fetched: {error}") from None
        except httpx.TimeoutException:
            raise RetryableError("timeout", f"{_host(url)} did not answer in time") from None
        except httpx.DecodingError as error:
            raise TaskError("contract", f"{_host(url)} sent a body that cannot be decompressed: {error}") from None
        except httpx.HTTPError as error:
            raise _transport_error(url, error) from None
        return _checked(answer)


def _worth_a_retry(error: Exception) -> bool | float:
    if not isinstance(error, RetryableError):
        return False
    if error.wait_s is not None and error.wait_s > MAX_RETRY_AFTER_S:
        return False
    return True if error.wait_s is None else error.wait_s


def _moved_to(response: httpx.Response) -> str | None:
    """Where the permanent redirects at the beginning of the way lead to."""
    found = None
    for hop, following in pairwise([*response.history, response]):
        if hop.status_code not in (301, 308):
            break
        found = str(following.url)
    return found


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _transport_error(url: str, error: httpx.HTTPError) -> TaskError:
    text = str(error)
    if text.startswith("dns:"):
        return RetryableError("dns_failure", f"{_host(url)} cannot be resolved: is there a network?")
    if "CERTIFICATE" in text or "SSL" in text:
        return TaskError("tls_error", f"{_host(url)}: {text}")
    return RetryableError("connection_failed", f"{_host(url)} cannot be reached: {text or type(error).__name__}")


def _checked(answer: Answer) -> Answer:
    """The policy for statuses, in one place."""
    host, status = _host(answer.url), answer.status
    said = answer.body[:200].decode("utf-8", "replace").strip()
    if 200 <= status < 300 or status == 304:
        return answer
    if status == 429 or status == 503:
        raise RetryableError(
            "rate_limited" if status == 429 else "upstream_error", f"{host} answered {status}: {said}", _retry_after(answer.headers)
        )
    if status >= 500:
        raise RetryableError("upstream_error", f"{host} answered {status}: {said}")
    codes = {401: "forbidden", 402: "plan_limit", 403: "forbidden", 404: "not_found", 410: "gone"}
    raise TaskError(codes.get(status, "rejected_by_source"), f"{host} answered {status}: {said}")


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; at most a day."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), DAY_S)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), DAY_S)
