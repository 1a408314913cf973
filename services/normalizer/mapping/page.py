"""All records of a page: every record ends in exactly one of events, skipped, rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from services.normalizer.mapping.base import (
    MappedPage,
    MapRecord,
    Outcome,
    PageInfo,
)
from services.normalizer.mapping.registry import (
    mapping_at_once,
    mapping_of,
)
from shared.errors import UnmappableError
from shared.messages.base import Source, Stage
from shared.messages.pages import (
    RawPage,
    Rejection,
    Skip,
    count_of,
    record_location,
)
from shared.messages.points import Points, UnifiedData
from shared.messages.serialization import encode, exact_decoder, to_python

MAX_RECORDS_BYTES = (
    2 << 20
)  # an extractor fills a page up to a quarter of it
MAX_SAMPLES = 3
MAX_NAMED = 5  # skipped records of a page
MAX_NAME = 100  # characters
MAX_PAYLOAD = 4096  # characters of a record in a rejection
MAX_CRASH = 500  # characters of an unexpected error
Elsewhere = Callable[[RawPage, int], Iterator[Outcome]]


def opened(page: RawPage) -> tuple[list[Any], PageInfo, MapRecord]:
    """The records of a page, what is known besides, and what maps one of them.

    Raises UnmappableError, msgspec.DecodeError, ValueError.
    """
    compile_mapping = mapping_of(page.source)
    if compile_mapping is None:
        message = f"there is no mapping for the source {page.source!r}"
        raise UnmappableError("unknown_source", message)
    records = _records(page)
    info = _info(page)
    return records, info, compile_mapping(info)


def at_once(info: PageInfo, records: list[Any]) -> Points | None:
    """All records as data points, where the source's mapping sees no need to look at each."""
    map_at_once = mapping_at_once(info.source)
    if map_at_once is None or not records:
        return None
    try:
        return map_at_once(info, records)
    except Exception:  # noqa: BLE001  whatever it is, it is said of the record that it is of
        return None


def outcomes(
    records: list[Any], map_record: MapRecord, first: int = 0
) -> Iterator[Outcome]:
    """What each record from `first` on became."""
    for index in range(first, len(records)):
        yield _outcome(map_record, index, records[index])


def map_page(
    page: RawPage, elsewhere: Elsewhere | None = None
) -> MappedPage:
    """All records of a page. A record may yield several data points.

    `elsewhere`: maps the records in another process.
    """
    try:
        records, info, map_record = opened(page)
        points = at_once(info, records)
    except UnmappableError as error:
        return _all_rejected(
            page, error.reason, error.message, error.field
        )
    except (msgspec.DecodeError, ValueError) as error:
        return _all_rejected(page, "undecodable_records", str(error))
    except Exception as error:  # noqa: BLE001  a mapping must not end the service
        return _all_rejected(page, "mapping_error", _crash(error))
    if points is not None:
        return MappedPage(points, [], list(page.rejections))
    events: list[UnifiedData] = []
    skipped: list[Skip] = []
    rejected: list[Rejection] = []
    found = (
        outcomes(records, map_record)
        if elsewhere is None
        else elsewhere(page, len(records))
    )
    for (index, record), outcome in zip(
        enumerate(records), found, strict=True
    ):
        if isinstance(outcome, list):
            events.extend(outcome)
        elif isinstance(outcome, Skip):
            if len(skipped) < MAX_NAMED:
                outcome = _named(outcome, page, record)
            skipped.append(outcome)
        else:
            rejected.append(_located(outcome, page, index, record))
    if not events and not skipped:
        rejected = _collapsed(rejected)
    return MappedPage(
        Points.of(events), skipped, [*page.rejections, *rejected]
    )


def _records(page: RawPage) -> list[Any]:
    size = len(bytes(page.records))
    if size > MAX_RECORDS_BYTES:
        message = f"the records of the page have {size} bytes, at most {MAX_RECORDS_BYTES} are read"
        raise UnmappableError("record_too_large", message)
    records: Any = exact_decoder.decode(page.records)
    if not isinstance(records, list):
        raise msgspec.DecodeError(
            "the records of the page are not a list"
        )
    if page.source == Source.CSV:
        return records  # lists of texts, which have no other order
    return list(map(ordered, records))


def _info(page: RawPage) -> PageInfo:
    context = ordered(to_python(page.context))
    return PageInfo(
        page.source, page.dataset, page.stream, context, page.fetched_at
    )


def _outcome(map_record: MapRecord, index: int, record: Any) -> Outcome:
    try:
        return map_record(index, record)
    except Exception as error:  # noqa: BLE001  a mapping must not end the service
        return Rejection(reason="mapping_error", message=_crash(error))


def _crash(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_CRASH]


def ordered(value: Any) -> Any:
    """The value with the fields of its objects in one order.

    The archive (JSONB) keeps another order than the source sent.
    """
    if isinstance(value, dict):
        return {name: ordered(value[name]) for name in sorted(value)}
    return (
        [ordered(each) for each in value]
        if isinstance(value, list)
        else value
    )


def _named(skip: Skip, page: RawPage, record: object) -> Skip:
    """By the record's own id or symbol; of a file by its line."""
    name: object = None
    if isinstance(record, dict):
        name = record.get("id") or record.get("symbol")
    if name is None:
        place = record_location(to_python(page.origin), skip.index)
        name = f"line {place['line']}" if "line" in place else None
    shown = None if name is None else str(name)[:MAX_NAME]
    return msgspec.structs.replace(skip, name=shown)


def _located(
    rejection: Rejection, page: RawPage, index: int, record: object
) -> Rejection:
    return msgspec.structs.replace(
        rejection,
        index=index,
        origin=record_location(to_python(page.origin), index),
        payload=_text(record),
        stage=Stage.MAP,
    )


def _text(record: object) -> str:
    return encode(record).decode()[:MAX_PAYLOAD]


def _beginning(page: RawPage) -> str:
    if len(bytes(page.records)) > MAX_RECORDS_BYTES:
        return _as_it_is(page)
    try:
        return _text(ordered(exact_decoder.decode(page.records)))
    except (msgspec.DecodeError, RecursionError):
        return _as_it_is(page)


def _as_it_is(page: RawPage) -> str:
    return bytes(page.records)[:MAX_PAYLOAD].decode("utf-8", "replace")


def _all_rejected(
    page: RawPage, reason: str, message: str, field: str | None = None
) -> MappedPage:
    """The page fails as a whole: one dead letter with a count and the beginning of the page."""
    count = page.record_count - count_of(page.rejections)
    if not count:
        return MappedPage(Points(), [], list(page.rejections))
    whole = Rejection(
        reason=reason,
        message=message,
        field=field,
        count=count,
        origin=record_location(to_python(page.origin), 0),
        payload=_beginning(page),
    )
    return MappedPage(Points(), [], [*page.rejections, whole])


def _collapsed(rejected: list[Rejection]) -> list[Rejection]:
    """Records of a page that all fail alike become one dead letter with a count and samples."""
    if len(rejected) <= MAX_SAMPLES:
        return rejected
    if len({(each.reason, each.field) for each in rejected}) > 1:
        return rejected
    times = sorted(filter(None, (each.event_time for each in rejected)))
    whole = msgspec.structs.replace(
        rejected[0],
        index=None,
        event_time=times[0] if times else None,
        last_event_time=times[-1] if times else None,
        count=len(rejected),
        message=f"all {len(rejected)} records of the page: {rejected[0].message}",
        payload="\n".join(
            each.payload or "" for each in rejected[:MAX_SAMPLES]
        ),
    )
    return [whole]
