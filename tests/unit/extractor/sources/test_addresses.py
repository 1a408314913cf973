"""Which addresses are fetched from, and how addresses are told."""

from __future__ import annotations

import ipaddress

import pytest

from services.extractor.sources.feeds import schedule
from shared.errors import TaskError
from shared.http.guarded import is_public
from shared.values.urls import has_secrets, without_secrets


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:a9fe:a9fe::1",
        "::a00:1",
        "::ffff:0:a00:1",
        "2001::1",
        "192.0.0.192",
        "192.0.0.8",
        "192.88.99.1",
        "::ffff:192.0.0.192",
    ],
)
def test_private_and_special_addresses_are_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"],
)
def test_public_ones_are_not(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://u:p@h:81/f?token=s&x", "http://h:81/f?token=***&x="),
        ("https://h/f#part", "https://h/f"),
        (
            "https://h/t?start=2024-01-01&interval=1h&key=s",
            "https://h/t?start=2024-01-01&interval=1h&key=***",
        ),
        ("http://[broken", "***"),
    ],
)
def test_addresses_are_told_without_secrets(url: str, told: str) -> None:
    assert without_secrets(url) == told


def test_checkpoints_hold_no_secrets() -> None:
    url = "http://u:p@h/f?token=s3cr3t"
    assert has_secrets(url)
    known = schedule.after_error(TaskError("gone", "x"), {}, url)
    assert "s3cr3t" not in str(known)
    with pytest.raises(TaskError, match="gone") as caught:
        schedule.not_now(known, url)
    assert "s3cr3t" not in caught.value.message
    # Another secret is another address, which may be asked.
    assert schedule.not_now(known, url.replace("3", "4")) is None
