"""Addresses as they may be stored, logged and told: without what may be secret in them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import (
    parse_qsl,
    quote,
    quote_plus,
    unquote,
    urlencode,
    urlsplit,
    urlunsplit,
)

HIDDEN = "***"
MIN_SECRET = 4  # characters; a shorter text stands by chance in any other
# Of the sources' own calls: which days, coins and currencies were asked for.
_HARMLESS = frozenset(
    "days end ids include_market_cap interval limit order page per_page quotes start vs_currencies "
    "vs_currency".split()
)


def without_secrets(url: str) -> str:
    """The address without user and password, its parameters without values and fragment.

    Of parameters that sources are asked with, the values stay.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    pairs = [
        (name, value if name in _HARMLESS or not value else HIDDEN)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    query = urlencode(pairs, safe=f"{HIDDEN},:-")
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def secrets_of(url: str) -> frozenset[str]:
    """What `without_secrets` leaves out, as servers may repeat it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return frozenset()
    user = unquote(parts.netloc.rpartition("@")[0])
    texts = {
        value
        for name, value in parse_qsl(parts.query)
        if name not in _HARMLESS
    }
    texts |= {
        unquote(parts.fragment),
        user.partition(":")[2],
        user,
        base64.b64encode(user.encode()).decode(),
    }
    return frozenset(text for text in texts if len(text) >= MIN_SECRET)


def without(secrets: Iterable[str], text: str) -> str:
    """A text in which these are hidden, also as they stand in addresses, HTML and JSON."""
    for secret in sorted(secrets, key=len, reverse=True):
        for written in _spellings(secret):
            text = re.sub(
                re.escape(written),
                HIDDEN,
                text,
                flags=re.IGNORECASE,
            )
    return text


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield html.escape(secret)
    in_json = json.dumps(secret)[1:-1]
    yield in_json
    yield in_json.replace("/", "\\/")


def has_secrets(url: str) -> bool:
    """Whether something of an address is left out when it is told."""
    parts = urlsplit(url)
    is_hidden = HIDDEN in without_secrets(url)
    return "@" in parts.netloc or is_hidden
