"""Connections that reach no private network: they go to the address that was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

MAX_ADDRESSES = 4  # of a name, tried in turn
MAX_CONNECTIONS = 20
PORTS = 65_536


def no_cookies() -> CookieJar:
    """One that keeps nothing: what a server sets is not sent to others of its host."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


def guarded_transport(
    *, allow_private: bool, connections: int = MAX_CONNECTIONS
) -> httpx.AsyncHTTPTransport:
    """For an httpx.AsyncClient."""
    transport = httpx.AsyncHTTPTransport()
    # httpx has no public way to hand a network backend to its pool; a test fails should this
    # stop working.
    transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=ssl.create_default_context(),
        network_backend=GuardedBackend(allow_private=allow_private),
        max_connections=connections,
    )
    return transport


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
        if not 0 < port < PORTS:
            raise httpcore.ConnectError(f"{port} is no port")
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
        if not is_public(ip):
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


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC = ipaddress.IPv6Network("3fff::/20")  # for documentation
# Of protocols, and once of relays: older Pythons take them for global.
_NOT_UNICAST = tuple(
    map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24"))
)
# Whose last 32 bits are an IPv4 address: of NAT64, compatible, translated.
_EMBEDDING = tuple(
    map(
        ipaddress.IPv6Network,
        ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96"),
    )
)


def is_public(ip: Address) -> bool:
    """Whether an address is one of the public internet, also one that stands in another."""
    if isinstance(ip, ipaddress.IPv4Address):
        is_special = any(ip in network for network in _NOT_UNICAST)
        return ip.is_global and not ip.is_multicast and not is_special
    inner = ip.ipv4_mapped or _embedded(ip)
    if inner is not None:
        return is_public(inner)
    if ip.sixtofour is not None and not is_public(ip.sixtofour):
        return False
    return ip.is_global and ip in _UNICAST and ip not in _NOT_PUBLIC


def _embedded(
    ip: ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | None:
    if any(ip in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


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
