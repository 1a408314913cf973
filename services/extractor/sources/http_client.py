"""HTTP for sources: a total deadline, a cap on decoded bytes, retries, no private networks.

Every failure is a `TaskError` whose code says what it was; its text is for people.
"""

from __future__ import annotations

import asyncio
import email.utils
import zlib
from collections.abc import (
    Awaitable,
    Callable,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina

import shared
from services.extractor.sources.answer import Answer
from shared.errors import TaskError
from shared.http.guarded import (
    BlockedAddressError,
    guarded_transport,
    no_cookies,
)
from shared.values.urls import secrets_of, without_secrets

MAX_RETRY_AFTER_S = 30.0  # that a task sleeps
DAY_S = 86_400.0
MAX_REDIRECTS = 5
CHUNK = 65_536
ERROR_BYTES = 64 * 1024  # of the page that comes with an error
USER_AGENT = f"crypto-ingest/{shared.__version__}"
PERMANENT_REDIRECTS = (301, 308)
SENT_TO_ALL = frozenset(
    ("host", "accept", "accept-encoding", "connection", "user-agent")
)
CONDITIONS = frozenset(("if-none-match", "if-modified-since"))
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


class RetryableError(TaskError):
    """Worth another attempt, after `wait_s` where the server named a time."""

    def __init__(
        self, code: str, message: str, wait_s: float | None = None
    ) -> None:
        super().__init__(code, message)
        self.wait_s = wait_s


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
        self._client = httpx.AsyncClient(
            transport=guarded_transport(allow_private=allow_private),
            follow_redirects=False,
            cookies=no_cookies(),
            timeout=httpx.Timeout(20, connect=10),
            headers={
                "user-agent": USER_AGENT,
                "accept-encoding": "gzip",
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
        max_bytes: int | None = None,
    ) -> Answer:
        """GET with retries, `before` each of which is awaited. `max_bytes`: less than of others.

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
                            url,
                            {"accept": accept, **(headers or {})},
                            min(
                                max_bytes or self._max_bytes,
                                self._max_bytes,
                            ),
                        )
        except TimeoutError:
            message = f"{_host(url)} did not answer completely within {self._timeout_s:.0f} s"
            raise TaskError("timeout", message) from None
        raise AssertionError("unreachable: stamina returns or raises")

    async def _get_once(
        self, url: str, headers: dict[str, str], most: int
    ) -> Answer:
        with _errors_as_task_errors(url):
            request = self._client.build_request(
                "GET", url, headers=headers
            )
            answer = await self._follow(request, most)
        return _checked(
            answer, is_conditional=bool(CONDITIONS & set(headers))
        )

    async def _follow(self, request: httpx.Request, most: int) -> Answer:
        """The answer behind redirects, whose own bodies are never read."""
        first = request.url
        secrets = _secrets_of(request)
        moved_to = None
        is_permanent = True
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._client.send(request, stream=True)
            following = response.next_request
            try:
                if following is None:
                    body = await _body(first, response, most)
                    return _answer(
                        response,
                        body,
                        moved_to,
                        secrets,
                    )
            finally:
                await response.aclose()
            is_permanent &= response.status_code in PERMANENT_REDIRECTS
            if is_permanent:
                moved_to = str(following.url)
            _drop_keys(following, first)
            request = following
            secrets |= _secrets_of(request)
        raise httpx.TooManyRedirects("", request=request)


async def _body(
    url: httpx.URL, response: httpx.Response, most: int
) -> bytes:
    """At most as much as is allowed; of an error its beginning."""
    decoder = _decoder(response)
    is_error = response.status_code >= 400
    limit = ERROR_BYTES if is_error else most
    body = bytearray()
    size = 0
    async for chunk in response.aiter_raw(CHUNK):
        size += len(chunk)
        for piece in decoder.pieces(chunk):
            body += piece
            if max(size, len(body)) > limit:
                if is_error:
                    return bytes(body)
                raise _too_large(str(url), most)
    if size and not decoder.is_whole and not is_error:
        raise httpx.RemoteProtocolError("its answer breaks off")
    return bytes(body)


def _too_large(url: str, most: int) -> TaskError:
    sent = f"{_host(url)} sent more than {most} bytes"
    return TaskError("limit_exceeded", f"{sent}: cut off there")


def _drop_keys(request: httpx.Request, first: httpx.URL) -> None:
    """What is for one server is not sent to another that it leads to."""
    here = request.url
    is_same = (here.scheme, here.host, here.port) == (
        first.scheme,
        first.host,
        first.port,
    )
    if is_same:
        return
    for name in list(request.headers):
        if name not in SENT_TO_ALL:
            del request.headers[name]


def _decoder(response: httpx.Response) -> _AsItIs | _Gunzip:
    """Turns what arrives into the body. Raises httpx.DecodingError.

    Only what was asked for is taken: gzip, once.
    """
    header = response.headers.get("content-encoding", "")
    named = [name.strip().lower() for name in header.split(",")]
    if named in ([""], ["identity"]):
        return _AsItIs()
    if named in (["gzip"], ["x-gzip"]):
        return _Gunzip()
    raise httpx.DecodingError(f"it is encoded as {header[:40]!r}")


class _AsItIs:
    """The protocol says where the body ends, or nobody does."""

    is_whole = True

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


class _Gunzip:
    """gzip, a bounded piece at a time: a kilobyte may stand for a megabyte."""

    def __init__(self) -> None:
        self._member = self._begin()

    @property
    def is_whole(self) -> bool:
        return bool(self._member.eof)

    @staticmethod
    def _begin() -> Any:
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Raises httpx.DecodingError."""
        rest = chunk
        while rest:
            if self._member.eof:
                self._member = self._begin()
            try:
                yield self._member.decompress(rest, CHUNK)
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from error
            rest = (
                self._member.unconsumed_tail or self._member.unused_data
            )


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
            "bad_url",
            f"{without_secrets(url)} cannot be fetched: {error}",
        ) from None
    except (UnicodeError, OverflowError) as error:
        raise TaskError(
            "bad_url",
            f"{without_secrets(url)} cannot be fetched: {error}",
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


def _secrets_of(request: httpx.Request) -> frozenset[str]:
    """The keys that a request sends, in its address or in a header."""
    headers = {
        value
        for name, value in request.headers.items()
        if name not in SENT_TO_ALL | CONDITIONS
    }
    return secrets_of(str(request.url)) | headers


def _answer(
    response: httpx.Response,
    body: bytes,
    moved_to: str | None,
    secrets: frozenset[str],
) -> Answer:
    """`moved_to`: where the permanent redirects at the beginning of the way lead to."""
    return Answer(
        without_secrets(str(response.url)),
        response.status_code,
        dict(response.headers),
        body,
        moved_to,
        secrets,
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _asked_of(error: httpx.HTTPError, url: str) -> str:
    """Where a redirect had led to."""
    try:
        return str(error.request.url)
    except RuntimeError:  # as httpx says that it does not know
        return url


def _transport_error(url: str, error: httpx.HTTPError) -> TaskError:
    text = str(error)
    host = _host(_asked_of(error, url))
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


def _checked(answer: Answer, *, is_conditional: bool) -> Answer:
    """The policy for statuses, in one place."""
    status = answer.status
    if status in (206, 304) and not (status == 304 and is_conditional):
        message = (
            f"{answer.url} answered {status}, which nobody asked for"
        )
        raise TaskError("contract", message)
    if 200 <= status < 300 or status == 304:
        return answer
    message = f"{answer.url} answered {status}: {answer.shown(200)}"
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


def _retry_after(headers: Mapping[str, str]) -> float | None:
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
