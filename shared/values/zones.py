"""Time zones as texts name them: `+02:00`, `GMT+2`, `CET`, `(UTC)`, `[Europe/Berlin]`."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta, timezone, tzinfo
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from shared.values.words import lines

_OFFSET = re.compile(
    r"(?:(?:utc|gmt|ut|z) ?)?(?P<sign>[+\-\u2212])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?",
    re.IGNORECASE | re.ASCII,
)
_REMARK = re.compile(
    r"(?P<zone>[^(\[]*)[(\[](?P<remark>[^()\[\]]{1,40})[)\]]"
)
_IANA = re.compile(r"[A-Za-z]{2,20}(?:/[A-Za-z0-9_+\-]{1,30}){1,2}")
_MAX_HOURS = 15
# A name of a column: what stands in brackets, or UTC and GMT as a word of it.
_BRACKETED = re.compile(
    r"(?<!\s)\s*+[(\[]\s*+(?P<zone>[^()\[\]]{1,40}?)\s*+[)\]]"
)
_UNIVERSAL = re.compile(
    r"(?:(?<=[\s_\-])|^)(?P<zone>(?:utc|gmt)(?: ?[+\-]\d{1,2}(?::?\d\d)?)?)(?=[\s_\-]|$)",
    re.IGNORECASE,
)
# A zone that is said in a sentence.
_IN_LINE = re.compile(
    r"\btime ?zone *+(?:is|[:=])?+ *+(?P<zone>[A-Z][A-Za-z]+/[A-Za-z_/]+"
    r"|(?:UTC|GMT)(?: ?[+\-]\d{1,2}(?::?\d\d)?)?|[+\-]\d\d:?\d\d)"
    r"|\btimes? (?:is|are)(?: given)?(?: in)? (?P<also>(?:UTC|GMT)(?: ?[+\-]\d{1,2}(?::?\d\d)?)?)",
    re.IGNORECASE,
)
_SPOKEN = {
    "日本時間": "Asia/Tokyo",
    "日本时间": "Asia/Tokyo",
    "北京时间": "Asia/Shanghai",
    "北京時間": "Asia/Shanghai",
    "한국시간": "Asia/Seoul",
    "한국 시간": "Asia/Seoul",
    "beijing": "Asia/Shanghai",
    "nyc": "America/New_York",
    "cet/cest": "Europe/Berlin",
}
_OF_WHOM = re.compile(
    r"(?:server|exchange|broker|platform|terminal|market) time"
)
_SEVERAL = frozenset({"cst", "ist", "ast"})
_ORDINARY = frozenset({"met", "eat", "art", "wit", "cot"})
_SMALL = re.compile(
    r"(?:date|time|datetime|timestamp)_[a-z]{3,4}|[a-z]{3,4}_(?:date|time)"
)
_REGIONS = frozenset({"Africa", "America", "Asia", "Australia", "Europe"})
_WORDS = re.compile(r"[\s_\-]+")
_ABBREVIATION = re.compile(r"[A-Z]{1,3}[SD]?T")


@cache
def _named() -> dict[str, tzinfo]:
    found: dict[str, tzinfo] = {}
    for line in lines(Path(__file__).with_suffix(".tsv")):
        zone, _, names = line.partition("\t")
        found.update(dict.fromkeys(names.split(), _zone_of(zone)))
    return found


def _zone_of(text: str) -> tzinfo:
    if "/" in text:
        return ZoneInfo(text)
    return timezone(timedelta(minutes=int(text)))


@lru_cache(maxsize=1024)
def read_zone(text: str) -> tzinfo:
    """The zone that a text is. Raises ValueError for one that is not known for certain."""
    text = text.strip()
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        return _fixed(offset)
    remark = _REMARK.fullmatch(text)
    if remark is not None:
        # `+0100 (CET)` says it twice; the number is exact.
        return read_zone(remark["zone"].strip() or remark["remark"])
    named = _named().get(text.lower())
    if named is not None:
        return named
    if _IANA.fullmatch(text):
        return _of_database(text)
    raise _unknown(text)


def _fixed(offset: re.Match[str]) -> tzinfo:
    hours = int(offset["hours"])
    minutes = int(offset["minutes"] or 0)
    if hours > _MAX_HOURS or minutes > 59:
        raise _unknown(offset[0])
    east = timedelta(hours=hours, minutes=minutes)
    return timezone(east if offset["sign"] == "+" else -east)


def _of_database(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise _unknown(name) from None


def _unknown(text: str) -> ValueError:
    return ValueError(f"{text[:40]!r} is not a time zone that is known")


def zone_in_name(name: str) -> str | None:
    """The zone in the name of a column, as it stands there: `UTC+8` of `Time (UTC+8)`.

    Also one that nobody knows for certain, such as `CST`. None where the name says none.
    """
    name = unicodedata.normalize("NFKC", name)
    bracketed = _BRACKETED.search(name)
    if bracketed is not None:
        shown = bracketed["zone"]
        if _is_zone(shown):
            return shown
        city = _spoken(shown)
        if city is not None:
            return city
    universal = _UNIVERSAL.search(name)
    if universal is not None:
        return universal[0]
    listed = _IANA.search(name)
    if listed is not None and listed[0] in available_timezones():
        return listed[0]
    # In capitals, or as a part of `time_cet`: `Est date` is an estimated one.
    is_small = _SMALL.fullmatch(name) is not None
    words = [
        each for each in _WORDS.split(name) if is_small or each.isupper()
    ]
    return next(filter(_is_abbreviation, words), None)


def zone_in_line(text: str) -> str | None:
    """The zone in a line of text, as `Timezone: Europe/Berlin` and `All times are UTC+9` say it."""
    text = unicodedata.normalize("NFKC", text)
    found = _IN_LINE.search(text)
    if found is not None:
        return found["zone"] or found["also"]
    return next(
        (zone for said, zone in _SPOKEN.items() if said in text), None
    )


def _spoken(shown: str) -> str | None:
    """`Tokyo`, `New York time`, `日本時間`; `server time`, which nobody knows, as it is."""
    words = shown.lower()
    for said, zone in _SPOKEN.items():
        if said in words:
            return zone
    city = words.removesuffix(" time").removeprefix("heure de ").strip()
    if city in _cities():
        return _cities()[city]
    return shown if _OF_WHOM.fullmatch(words) else None


def _is_abbreviation(word: str) -> bool:
    """`EST` of `EST Time`; also one that stands for several zones."""
    is_known = word.lower() in _named() or word.lower() in _SEVERAL
    return len(word) > 2 and is_known and word.lower() not in _ORDINARY


@cache
def _cities() -> dict[str, str]:
    """`berlin`, `new york` → the name of the tz database."""
    found = {}
    for name in sorted(available_timezones()):
        region, _, city = name.partition("/")
        if region in _REGIONS and "/" not in city:
            found[city.replace("_", " ").lower()] = name
    return found


def without_zone(name: str) -> str:
    """The name of a column without the zone in it."""
    bracketed = _BRACKETED.search(name)
    if bracketed is None:
        return name
    shown = bracketed["zone"]
    if not _is_zone(shown) and _spoken(shown) is None:
        return name
    return f"{name[: bracketed.start()]}{name[bracketed.end() :]}".strip()


def _is_zone(text: str) -> bool:
    if _ABBREVIATION.fullmatch(text):
        return True
    try:
        read_zone(text)
    except ValueError:
        return False
    return True
