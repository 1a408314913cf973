"""Dates that say less or more than a day, and zones in the names of columns."""

from __future__ import annotations

import pytest

from shared.errors import BadValueError
from shared.values.times import iso, timestamp, timestamp_text
from shared.values.zones import zone_in_name


@pytest.mark.parametrize(
    "text",
    [
        "May 2024",
        "March-2019",
        "Mar 2019 10:00",
        "декабрь 2023",
        "Wed, 30 Nov -0001 00:00:00 +0000",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "01.01.0001",
        "31.12.0099",
        "637500672000000000",
        "2021030100",
        "2103010000",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        timestamp_text("t", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18. července 2023", "2023-07-18T00:00:00Z"),
        ("18. června 2023", "2023-06-18T00:00:00Z"),
        ("14 mrt 2023", "2023-03-14T00:00:00Z"),
        ("2023. december 6.", "2023-12-06T00:00:00Z"),
        ("6 декабря 2023 г. 10:00", "2023-12-06T10:00:00Z"),
        ("12 DE ENERO DE 2023", "2023-01-12T00:00:00Z"),
        ("6 NİSAN 2023", "2023-04-06T00:00:00Z"),
        ("14 März 2023", "2023-03-14T00:00:00Z"),
        ("Dec 6, 2023 at 10:00 AM", "2023-12-06T10:00:00Z"),
        ("6. Dezember 2023 um 10:00 Uhr", "2023-12-06T10:00:00Z"),
        ("December 6th, 2023", "2023-12-06T00:00:00Z"),
        ("6th of December 2023", "2023-12-06T00:00:00Z"),
        ("2023年12月6日(水) 10:00", "2023-12-06T10:00:00Z"),
        ("2023年12月06日10:00", "2023-12-06T10:00:00Z"),
        ("2023년 12월 6일 수요일 10:00", "2023-12-06T10:00:00Z"),
        ("06/06/2023", "2023-06-06T00:00:00Z"),
        ("2023-12-06+01:00", "2023-12-05T23:00:00Z"),
        ("2023-12-06 10:00:00 +0000 UTC", "2023-12-06T10:00:00Z"),
        ("06Dec2023", "2023-12-06T00:00:00Z"),
    ],
)
def test_a_moment_is_read(text: str, expected: str) -> None:
    assert iso(timestamp("t", text)) == expected


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Time（UTC+8）", "UTC+8"),
        ("EST Time", "EST"),
        ("time_cet", "cet"),
        ("Time Europe/Berlin", "Europe/Berlin"),
        ("Time (New York)", "America/New_York"),
        ("Date/Time", None),
        ("Est Date", None),
        ("Date (Center)", None),
        ("time_ist", "ist"),
        ("Unix Timestamp", None),
        ("Date (ms)", None),
    ],
)
def test_the_zone_in_the_name_of_a_column(
    name: str, zone: str | None
) -> None:
    assert zone_in_name(name) == zone
