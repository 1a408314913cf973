"""What sources share: JSON, pages, storable texts."""

from __future__ import annotations

import uuid

import pytest

from services.extractor.sources.answer import Answer
from services.extractor.sources.base import (
    canonical,
    clean,
    paginate,
    parse_json,
)
from shared.errors import TaskError
from shared.messages.serialization import encode

RUN = str(uuid.uuid4())


def test_what_jsonb_cannot_hold_is_replaced_and_marked() -> None:
    encoded, repaired = canonical([["a\x00b", "\ud800"], {"\x00": 1}])
    assert repaired
    assert b"\\u0000" not in encoded
    assert clean("a\x00b") == "a\ufffdb"
    assert canonical(["ünï", 1.5])[1] is False


def test_pages_are_bounded_and_what_fits_none_is_rejected() -> None:
    pages = list(
        paginate([{"n": n} for n in range(1001)] + [{"x": "y" * 600_000}])
    )
    assert [len(records) for records, _ in pages] == [1000, 1]
    assert [r.reason for _, rejections in pages for r in rejections] == [
        "record_too_large"
    ]


@pytest.mark.parametrize(
    "body", [b"<html>", b"{", b"", b'{"a": NaN}', b"[" * 5000]
)
def test_what_is_no_json_is_a_broken_contract(body: bytes) -> None:
    with pytest.raises(TaskError) as caught:
        parse_json(Answer("", 200, {}, body), "it")
    assert caught.value.code == "contract"


def test_json_keeps_exact_numbers_and_survives_lone_surrogates() -> None:
    body = b'{"p": 38054.559248568123456789, "s": "\\ud800"}'
    assert (
        encode(
            parse_json(
                Answer("", 200, {}, body),
                "it",
            )["p"]
        )
        == b"38054.559248568123456789"
    )
    large = Answer("", 200, {}, b"[1e200000]")
    assert parse_json(large, "it") == ["1e200000"]
