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
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::\d{1,5})?"
_PLACE = re.compile(
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)/(?P<name>[^/?#]+)(?:\?(?P<query>.*))?"
)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIGHEST_PORT = 65_535
_SESSION = "target_session_attrs"


def normalized(url: str, hosts: dict[str, str]) -> str:
    """The URL with a bare scheme, and user and password quoted.

    `hosts`: `host:port` in place of hosts that are known by another name. The login ends at the
    last `@` before what can be host and name. Of several hosts, with commas between, the one that
    takes writes is meant where nothing else is said. Raises ValueError.
    """
    scheme = _SCHEME.fullmatch(url)
    if scheme is None:
        raise ValueError(f"DATABASE_URL: {URL_FORM}")
    login, place = _split(scheme["rest"])
    found = [_host(each, hosts) for each in place["hosts"].split(",")]
    query = place["query"] or ""
    if len(found) > 1 and _SESSION not in query:
        query = "&".join(filter(None, (query, f"{_SESSION}=primary")))
    shown = f"{','.join(found)}/{place['name']}{query and f'?{query}'}"
    return f"postgresql://{_quoted(login)}{shown}"


def _host(given: str, hosts: dict[str, str]) -> str:
    name, colon, port = given.rpartition(":")
    if not colon or given.endswith("]"):
        return hosts.get(given, given)
    if int(port) > _HIGHEST_PORT:
        message = f"the port is above {_HIGHEST_PORT}"
        raise ValueError(f"DATABASE_URL: {message}; {URL_FORM}")
    return hosts.get(name, given)


def for_sqlalchemy(dsn: str) -> str:
    """With its driver named: SQLAlchemy 2.1 takes a bare one for psycopg 3.

    Several hosts stand in the query, which is how SQLAlchemy reads them.
    """
    login, _, place = dsn.removeprefix("postgresql://").rpartition("@")
    hosts, _, rest = place.partition("/")
    if "," in hosts:
        name, _, query = rest.partition("?")
        each = [f"host={host}" for host in hosts.split(",")]
        hosts, rest = "", f"{name}?{'&'.join([*each, query])}"
    return f"postgresql+psycopg2://{login}{login and '@'}{hosts}/{rest}"


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
