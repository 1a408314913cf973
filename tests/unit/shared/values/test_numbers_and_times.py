"""Numbers and times: the right value or an error that names the field, never a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadValueError
from shared.values.amounts import number
from shared.values.times import iso, timestamp, timestamp_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("1.50", "1.5"),
        ("0.00", "0"),
        ("-0", "0"),
        ("007", "7"),
        ("00.5", "0.5"),
        ("-0.50", "-0.5"),
        (" 12 ", "12"),
        ("1,234.5", "1234.5"),
        ("33,543,211", "33543211"),
        ("27.41K", "27410"),
        ("1.2M", "1200000"),
        ("2b", "2000000000"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
        (".5", "0.5"),
        ("+3", "3"),
        (3, "3"),
        (Decimal("38054.559248568"), "38054.559248568"),
        (
            "0.1234567890123456789012345678901234567890",
            "0.123456789012345678901234567890123456789",
        ),
    ],
)
def test_numbers_are_exact_and_have_one_form(
    text: object, expected: str
) -> None:
    assert number("price", text) == expected


@pytest.mark.parametrize(
    "text", ["", "-", "null", "NaN", "n/a", None, "  "]
)
def test_missing_values_are_none(text: str | None) -> None:
    assert number("price", text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Infinity", "not_finite"),
        ("1e400", "out_of_range"),
        ("9" * 5000, "not_a_number"),
        ("1.057.030.998", "destroyed_number"),
        ("12,34", "not_a_number"),
        ("1_000", "not_a_number"),
        ("abc", "not_a_number"),
        ("1e-200", "out_of_range"),
    ],
)
def test_what_must_not_be_guessed_names_the_field(
    text: str, reason: str
) -> None:
    with pytest.raises(BadValueError) as caught:
        number("close", text)
    assert (caught.value.field, caught.value.reason) == ("close", reason)


def test_long_numbers_keep_every_digit() -> None:
    assert (
        number("x", "+12345678901234567890123456789012345")
        == "12345678901234567890123456789012345"
    )


@given(
    st.decimals(
        allow_nan=False,
        allow_infinity=False,
        min_value=Decimal("-1e20"),
        max_value=Decimal("1e20"),
        places=12,
    )
)
def test_a_number_keeps_its_value(value: Decimal) -> None:
    assert Decimal(number("x", str(value)) or "nan") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1733011200", "2024-12-01T00:00:00Z"),
        ("1733011200000", "2024-12-01T00:00:00Z"),
        ("1735689600000000", "2025-01-01T00:00:00Z"),
        ("1735689600000000000", "2025-01-01T00:00:00Z"),
        ("1603929600.0", "2020-10-29T00:00:00Z"),
        ("1603929600.5", "2020-10-29T00:00:00.500000Z"),
        ("2024-01-02", "2024-01-02T00:00:00Z"),
        ("2013-04-28 00:00:00 UTC", "2013-04-28T00:00:00Z"),
        ("2014-09-17 00:00:00+02:00", "2014-09-16T22:00:00Z"),
        ("2025-10-07T23:59:59.999Z", "2025-10-07T23:59:59.999000Z"),
        ("Jul 01, 2021", "2021-07-01T00:00:00Z"),
        ("13.08.2025", "2025-08-13T00:00:00Z"),
        ("20240102", "2024-01-02T00:00:00Z"),
        ("202401021530", "2024-01-02T15:30:00Z"),
        ("20240102153045", "2024-01-02T15:30:45Z"),
    ],
)
def test_times_in_usual_notations(text: str, expected: str) -> None:
    assert iso(timestamp("time", text)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01/02/2021", "ambiguous_date"),
        ("", "missing_time"),
        ("soon", "bad_time"),
        ("2024-02-30", "bad_time"),
        ("0001-01-01T00:00:00+14:00", "bad_time"),
        ("0001-01-01", "bad_time"),
        ("2999-12-31", "bad_time"),
        ("44197", "bad_time"),
        ("nan", "missing_time"),
    ],
)
def test_times_that_cannot_be_known_are_refused(
    text: str, reason: str
) -> None:
    with pytest.raises(BadValueError) as caught:
        timestamp("time", text)
    assert caught.value.reason == reason


@given(
    st.datetimes(
        min_value=datetime(2001, 9, 10), max_value=datetime(2033, 1, 22)
    )
)
def test_epochs_of_all_units_name_the_same_second(
    moment: datetime,
) -> None:
    moment = moment.replace(microsecond=0)
    seconds = int((moment - datetime(1970, 1, 1)) / timedelta(seconds=1))
    assert {
        timestamp("t", str(seconds * unit))
        for unit in (1, 10**3, 10**6, 10**9)
    } == {moment}
    assert moment.replace(tzinfo=UTC).timestamp() == seconds


@given(
    st.one_of(
        st.integers(0, 10**14).map(str),
        st.integers(0, 5 * 10**9).map(lambda seconds: f"{seconds}000"),
        st.text(max_size=13),
    )
)
def test_the_short_way_to_the_text_of_a_time_says_the_same(
    text: str,
) -> None:
    def attempt(way: Callable[[str, str], str]) -> str:
        try:
            return way("time", text)
        except BadValueError as error:
            return f"{error.reason} {error.message}"

    assert attempt(timestamp_text) == attempt(
        lambda field, value: iso(timestamp(field, value))
    )
