"""Times of /data end in Z, and nothing else in the answer changes."""

from __future__ import annotations

from services.gateway.requests.times import with_z


def test_only_times_change() -> None:
    body = (
        '[{"timestamp":"2024-01-01T00:00:00+00:00","title":"at 10:00:00+00:00",'
        '"created_at":"2024-01-01T00:00:00.123456+00:00",'
        '"summary":"\\"timestamp\\":\\"2024-01-01T00:00:00+00:00"}]'
    )
    assert with_z(body) == (
        '[{"timestamp":"2024-01-01T00:00:00Z","title":"at 10:00:00+00:00",'
        '"created_at":"2024-01-01T00:00:00.123456Z",'
        '"summary":"\\"timestamp\\":\\"2024-01-01T00:00:00+00:00"}]'
    )


def test_nothing_to_change_is_nothing_changed() -> None:
    assert with_z("[]") == "[]"
