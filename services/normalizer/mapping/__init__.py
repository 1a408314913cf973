"""Mapping: (record, context) → data points, skip or rejection. Pure; knows neither Faust nor Kafka.

`NORMALIZER_VERSION` is part of every data point's version: raise it by hand, with a line in CHANGELOG.md, whenever the
output of a mapping changes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from services.normalizer.mapping import coingecko, coinpaprika, csv_files, feeds
from services.normalizer.mapping.base import Compile, MappedPage, PageInfo
from shared.errors import UnmappableError
from shared.messages.base import Stage
from shared.messages.pages import RawPage, Rejection, Skip, place
from shared.messages.serialization import exact_decoder, plain

NORMALIZER_VERSION = 3
MAX_SAMPLES = 3

MAPPINGS: dict[str, Compile] = {
    "coinpaprika": coinpaprika.compile_mapping,
    "coingecko": coingecko.compile_mapping,
    "csv": csv_files.compile_mapping,
    "rss": feeds.compile_mapping,
}


def map_page(page: RawPage) -> MappedPage:
    """All records of a page. Every record ends in exactly one of events (one or more), skipped, rejected."""
    compile_mapping = MAPPINGS.get(page.source)
    if compile_mapping is None:
        return _all_rejected(page, "unknown_source", f"there is no mapping for the source {page.source!r}", None)
    try:
        records = exact_decoder.decode(page.records)
        if records and not isinstance(records[0], list):  # of objects, not rows
            records = _ordered(records)
        map_record = compile_mapping(PageInfo(page.source, page.dataset, page.stream, _ordered(plain(page.context)), page.fetched_at))
    except UnmappableError as error:
        return _all_rejected(page, error.reason, error.message, error.field)
    except (msgspec.DecodeError, ValueError) as error:
        return _all_rejected(page, "undecodable_records", str(error), None)
    except Exception as error:  # noqa: BLE001  as below
        return _all_rejected(page, "mapping_error", f"{type(error).__name__}: {error}"[:500], None)
    mapped = MappedPage([], [], list(page.rejections))
    for index, record in enumerate(records):
        try:
            outcome = map_record(index, record)
        except Exception as error:  # noqa: BLE001  one odd record must not hold up its partition for ever
            outcome = Rejection(reason="mapping_error", message=f"{type(error).__name__}: {error}"[:500])
        if isinstance(outcome, list):
            mapped.events.extend(outcome)
        elif isinstance(outcome, Skip):
            mapped.skipped.append(outcome)
        else:
            mapped.rejected.append(_located(outcome, page, index, record))
    return _collapsed(mapped, page)


def _ordered(value: Any) -> Any:
    """The value with the fields of its objects in one order: the archive (JSONB) keeps another than the source sent."""
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


def _located(rejection: Rejection, page: RawPage, index: int, record: object) -> Rejection:
    return msgspec.structs.replace(rejection, index=index, origin=place(plain(page.origin), index), payload=_text(record), stage=Stage.MAP)


def _text(record: object) -> str:
    return msgspec.json.Encoder(decimal_format="number").encode(record).decode()[:4096]


def _beginning(page: RawPage) -> str:
    try:
        return _text(_ordered(exact_decoder.decode(page.records)))
    except (msgspec.DecodeError, RecursionError):
        return bytes(page.records)[:4096].decode("utf-8", "replace")


def _all_rejected(page: RawPage, reason: str, message: str, field: str | None) -> MappedPage:
    """The page fails as a whole: one dead letter with a count and the beginning of the page."""
    count = page.record_count - sum(rejection.count for rejection in page.rejections)
    whole = Rejection(
        reason=reason,
        message=message,
        field=field,
        count=count,
        origin=place(plain(page.origin), 0),
        payload=_beginning(page),
    )
    return MappedPage([], [], [*page.rejections, *([whole] if count else [])])


def _collapsed(mapped: MappedPage, page: RawPage) -> MappedPage:
    """Records of a page that all fail alike become one dead letter with a count and samples."""
    own = mapped.rejected[len(page.rejections) :]
    if len(own) <= MAX_SAMPLES or mapped.events or mapped.skipped or len({(r.reason, r.field) for r in own}) > 1:
        return mapped
    first = own[0]
    samples = "\n".join(r.payload or "" for r in own[:MAX_SAMPLES])
    whole = msgspec.structs.replace(
        first, index=None, count=len(own), message=f"all {len(own)} records of the page: {first.message}", payload=samples
    )
    return MappedPage([], [], [*page.rejections, whole])


__all__ = ["MAPPINGS", "NORMALIZER_VERSION", "MappedPage", "map_page"]
