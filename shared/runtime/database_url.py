"""DATABASE_URL as people write it: also with `@ / # %` in the password.

Nothing here puts any part of it into a message.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

URL_FORM = "write postgresql://user:password@host:5432/name"
_SCHEME = re.compile(
    r"\s*postgres(?:ql)?(?:\+\w{1,20})?://(?P<rest>\S+)\s*", re.IGNORECASE
)
_PLACE = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::(?P<port>\d{1,5}))?"
    r"/(?P<name>[^/?#]+)(?:\?(?P<query>.*))?"
)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIGHEST_PORT = 65_535


def normalized(url: str, hosts: dict[str, str]) -> str:
    """The URL with a bare scheme, and user and password quoted.

    `hosts`: `host:port` in place of hosts that are known by another name. The login ends at the
    last `@` before what can be host and name. Raises ValueError.
    """
    scheme = _SCHEME.fullmatch(url)
    if scheme is None:
        raise ValueError(f"DATABASE_URL: {URL_FORM}")
    login, place = _split(scheme["rest"])
    host = hosts.get(place["host"]) or _host(place)
    query = f"?{place['query']}" if place["query"] else ""
    return f"postgresql://{_quoted(login)}{host}/{place['name']}{query}"


def _host(place: re.Match[str]) -> str:
    port = place["port"]
    if port is None:
        return place["host"]
    if int(port) > _HIGHEST_PORT:
        message = f"the port is above {_HIGHEST_PORT}"
        raise ValueError(f"DATABASE_URL: {message}; {URL_FORM}")
    return f"{place['host']}:{port}"


def _split(rest: str) -> tuple[str, re.Match[str]]:
    """(the login with its `@`, the place)."""
    ends = [found.end() for found in re.finditer("@", rest)]
    for end in [*reversed(ends), 0]:
        place = _PLACE.fullmatch(rest, end)
        if place is not None:
            return rest[:end], place
    raise ValueError(
        f"DATABASE_URL: {URL_FORM}; in user and password write @ as %40, / as %2F, # as %23, "
        "% as %25"
    )


def _quoted(login: str) -> str:
    if not login:
        return ""
    user, colon, password = login[:-1].partition(":")
    return f"{_requoted(user)}{colon}{_requoted(password)}@"


def _requoted(text: str) -> str:
    """Quoted once. What has a `%` that begins no escape is not quoted yet."""
    plain = text if _BROKEN_ESCAPE.search(text) else unquote(text)
    return quote(plain, safe="")
