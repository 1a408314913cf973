"""OPML, in which readers of feeds hand on their lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from services.gateway.problems import ProblemError
from services.gateway.routes.configuration.schema import NAME

MAX_OUTLINES = 500
MAX_SHOWN = 80  # characters of a title
MAX_ADDRESS = 1_000
_ADDRESS = re.compile(r"https?://[^/\s?#\x00-\x1f][^\s\x00-\x1f]*")
_NO_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass
class Plan:
    """What becomes of the feeds of a file. `added`: addresses by name."""

    added: dict[str, str] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def written(feeds: Mapping[str, str]) -> bytes:
    root = Element("opml", version="2.0")
    SubElement(SubElement(root, "head"), "title").text = "Feeds"
    body = SubElement(root, "body")
    for name in sorted(feeds):
        SubElement(
            body, "outline", type="rss", text=name, xmlUrl=feeds[name]
        )
    found: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def read(body: bytes) -> list[tuple[str, str]]:
    """(title, address) of each feed. Raises ProblemError 422."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (
        ParseError,
        DefusedXmlException,
        ValueError,
        LookupError,
    ) as error:
        raise ProblemError(422, f"this is no OPML: {error}") from error
    if root.tag.lower() != "opml":
        raise ProblemError(
            422,
            f"this is no OPML: it begins with <{root.tag[:MAX_SHOWN]}>",
        )
    found = list(_outlines(root))
    _refuse_number(len(found))
    return found


def _refuse_number(count: int) -> None:
    if count > MAX_OUTLINES:
        raise ProblemError(
            422,
            f"it has {count} feeds, at most {MAX_OUTLINES} are read",
        )
    if not count:
        raise ProblemError(422, "it has no outline with an xmlUrl")


def _outlines(root: Element) -> Iterator[tuple[str, str]]:
    for outline in root.iter("outline"):
        attributes = {
            name.lower(): value for name, value in outline.items()
        }
        address = attributes.get("xmlurl", "").strip()
        if address:
            title = attributes.get("title") or attributes.get("text")
            yield (title or address, address)


def planned(
    found: list[tuple[str, str]], feeds: Mapping[str, str], most: int
) -> Plan:
    """Each address once, under a name that no feed has."""
    plan = Plan()
    names = {url: name for name, url in feeds.items()}
    taken = set(feeds)
    for title, address in found:
        shown = title[:MAX_SHOWN]
        if address in names:
            plan.known.append(names[address])
        elif (
            not _ADDRESS.fullmatch(address) or len(address) > MAX_ADDRESS
        ):
            plan.refused.append(
                f"{shown}: {address[:MAX_SHOWN]!r} is no http:// or https:// address"
            )
        elif len(taken) >= most:
            plan.refused.append(
                f"{shown}: there are {most} feeds already"
            )
        else:
            name = _free_name(title, address, taken)
            plan.added[name] = address
            names[address] = name
            taken.add(name)
    return plan


def _plain(text: str) -> str:
    return _NO_NAME.sub("-", text.lower()).strip("-._")[:60]


def _free_name(title: str, address: str, taken: set[str]) -> str:
    """Of the title, else of the host; with a number where it is taken."""
    host = address.partition("//")[2].partition("/")[0]
    for text in (title, host, "feed"):
        plain = _plain(text)
        if re.match(NAME, plain):
            break
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name
