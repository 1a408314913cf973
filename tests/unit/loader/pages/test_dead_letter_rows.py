"""A rejected record is the same letter from the topic and from the archive."""

from __future__ import annotations

import msgspec
import pytest

from services.loader.pages.dead_letter_rows import digest_of_value


@pytest.mark.parametrize(
    ("of_topic", "of_archive"),
    [
        (b'["1","2.5"]', b'["1", "2.5"]'),
        (b'{"price":1.50,"id":"a"}', b'{"id": "a", "price": 1.50}'),
        (b'{"n":1e5}', b'{"n": 100000}'),
    ],
)
def test_jsonb_changes_no_letter(
    of_topic: bytes, of_archive: bytes
) -> None:
    first, second = map(msgspec.Raw, (of_topic, of_archive))
    assert digest_of_value(first) == digest_of_value(second)


def test_another_value_is_another_letter() -> None:
    first, second = map(msgspec.Raw, (b'["1"]', b'["2"]'))
    assert digest_of_value(first) != digest_of_value(second)
