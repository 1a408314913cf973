"""Headers of pages that are published again."""

from __future__ import annotations

from shared.messages.headers import (
    BrokerPosition,
    first_position,
    is_republished,
    republished_headers,
)


def test_headers_carry_the_first_place() -> None:
    headers = republished_headers(
        [("ce_id", b"x"), ("first_offset", b"1")],
        BrokerPosition(41, 1_700_000_000_123),
    )
    assert is_republished(headers)
    assert first_position(
        dict(headers), BrokerPosition(99, 5)
    ) == BrokerPosition(41, 1_700_000_000_123)
    assert first_position(
        republished_headers([], None), BrokerPosition(99, 5)
    ) == BrokerPosition(99, 5)
    assert not is_republished([("ce_id", b"x")])
    assert not is_republished(None)
