"""Keys beside API_KEY: what is kept, what counts, what each may do."""

from __future__ import annotations

import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from services.gateway.api_key import (
    DEFAULT_KEY,
    WrongKeys,
    check_key,
    scope_for,
)
from services.gateway.kafka import key_log
from services.gateway.kafka.key_log import KeyLog
from services.gateway.problems import ProblemError
from services.gateway.settings import GatewaySettings
from shared.access.keys import (
    KeyState,
    Scope,
    digest_of,
    new_key,
)
from shared.access.signatures import is_genuine, signed
from shared.configuration.setting_log import read_configuration
from shared.messages.serialization import encode

SECRET = "of this installation"
NOW_MS = 1_700_000_000_000


def key_state(key: str, **changed: Any) -> KeyState:
    key_id = str(uuid.uuid4())
    values = {
        "key_id": key_id,
        "family": key_id,
        "digest": digest_of(key),
        "scope": Scope.READ,
        "note": "a test",
        "made_at": NOW_MS,
        **changed,
    }
    return KeyState(**values)


def told(log: KeyLog, state: KeyState, secret: str = SECRET) -> None:
    log.take(signed(state, secret))


def test_a_key_is_found_by_what_is_kept_of_it() -> None:
    log, key = KeyLog(SECRET), new_key()
    told(log, key_state(key))
    found = log.find(key, 12.5)
    assert found is not None
    assert key not in encode(found).decode()
    assert log.find(key + "x", 13) is None
    used_at = log.used_at(found.key_id)
    assert used_at is not None
    assert used_at.timestamp() == 12.5


def test_each_use_is_told_once() -> None:
    log, key = KeyLog(SECRET), new_key()
    told(log, key_state(key))
    found = log.find(key, 12.5)
    log.find(key, 13)
    assert found is not None
    assert log.take_untold() == {found.key_id: 13_000}
    assert log.take_untold() == {}


def test_two_keys_are_never_the_same_and_are_long() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(each) >= 43 for each in keys)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"expires_at": NOW_MS + 1}, True),
        ({"expires_at": NOW_MS}, False),
        ({"revoked_at": NOW_MS - 5}, False),
    ],
)
def test_what_counts(changes: dict[str, int], counts: bool) -> None:
    assert key_state("k", **changes).counts_at(NOW_MS) is counts


def test_who_can_write_to_the_topic_makes_no_key() -> None:
    log, key = KeyLog(SECRET), new_key()
    with pytest.raises(ValueError, match="signed by others"):
        told(log, key_state(key), "of somebody else")
    real = signed(key_state(key), SECRET)
    more = msgspec.structs.replace(real, scope=Scope.ADMIN)
    with pytest.raises(ValueError, match="signed by others"):
        log.take(more)
    assert log.find(key, 0) is None


def test_what_was_revoked_stays_so() -> None:
    log, key = KeyLog(SECRET), new_key()
    state = key_state(key)
    told(log, state)
    told(log, msgspec.structs.replace(state, revoked_at=NOW_MS))
    told(log, state)
    found = log.find(key, 0)
    assert found is not None
    assert found.revoked_at == NOW_MS


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"[1]", b"x" * 2_000_000]
)
def test_what_is_no_key_is_refused(value: bytes | None) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        read_configuration(value)


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/api/v1/data", Scope.READ),
        ("HEAD", "/api/v1/data", Scope.READ),
        ("POST", "/api/v1/price", Scope.READ),
        ("GET", "/api/v1/me", Scope.READ),
        ("POST", "/api/v1/ingest", Scope.OPERATE),
        ("POST", "/api/v1/coverage/fill", Scope.OPERATE),
        ("PUT", "/api/v1/files/csv/a.csv", Scope.OPERATE),
        ("DELETE", "/api/v1/series/1", Scope.OPERATE),
        ("TRACE", "/api/v1/data", Scope.OPERATE),
        ("GET", "/api/v1/keys", Scope.ADMIN),
        ("POST", "/api/v1/keys", Scope.ADMIN),
        ("DELETE", "/api/v1/keys/x", Scope.ADMIN),
    ],
)
def test_what_a_request_needs(
    method: str, path: str, needed: Scope
) -> None:
    assert scope_for(method, path) == needed


def test_each_scope_allows_what_those_before_it_allow() -> None:
    allowed = {
        (have.value, need.value)
        for have in Scope
        for need in Scope
        if have.allows(need)
    }
    assert allowed == {
        ("read", "read"),
        ("operate", "read"),
        ("operate", "operate"),
        ("admin", "read"),
        ("admin", "operate"),
        ("admin", "admin"),
    }


def test_a_signature_of_before_holds() -> None:
    golden = Path(__file__).parents[2] / "contract" / "golden"
    kept = read_configuration((golden / "KeyState.json").read_bytes())
    assert is_genuine(kept, "golden")
    assert not is_genuine(kept, "another")


class Asked:
    """Requests to an app, from one address."""

    def __init__(self, key: str, host: str = "localhost:8000") -> None:
        self.clock = [0.0]
        self.state = SimpleNamespace(
            settings=GatewaySettings(_env_file=None, api_key=key),
            wrong_keys=WrongKeys(now=lambda: self.clock[0]),
            keys=None,
        )
        self.host = host

    def __call__(self, given: str) -> int:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/stats",
            "query_string": b"",
            "headers": [(b"host", self.host.encode())],
            "client": ("192.0.2.1", 5000),
            "app": SimpleNamespace(state=self.state),
        }
        try:
            check_key(Request(scope), given)
        except ProblemError as error:
            return error.status
        return 200


def test_who_guesses_learns_nothing_more_after_a_hundred() -> None:
    asked = Asked("the right one")
    found = [asked(f"guess number {n}") for n in range(150)]
    assert found == [403] * 100 + [429] * 50
    assert asked("the right one") == 429
    asked.clock[0] += 61
    assert asked("the right one") == 200


def test_a_right_key_is_not_hindered_by_others_at_its_address() -> None:
    asked = Asked("the right one")
    assert asked("the right one") == 200
    for n in range(150):
        asked(f"guess number {n}")
    assert asked("the right one") == 200
    asked.clock[0] += 3601
    for n in range(150):
        asked(f"guess number {n}")


def test_guesses_count_also_while_keys_are_not_read() -> None:
    asked = Asked("the right one")
    asked.state.keys = KeyLog(SECRET)
    found = [asked(f"guess number {n}") for n in range(150)]
    assert found == [503] * 100 + [429] * 50


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("gateway:8000", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8000", 403),
    ],
)
def test_the_default_key_opens_nothing_to_pages_of_others(
    host: str, status: int
) -> None:
    assert Asked(DEFAULT_KEY, host)(DEFAULT_KEY) == status
    assert Asked("another key", host)("another key") == 200


def test_revoked_keys_leave_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_log, "MAX_KEYS", 2)
    log = KeyLog(SECRET)
    first = key_state("a")
    told(log, first)
    told(log, key_state("b"))
    assert log.is_full
    told(log, msgspec.structs.replace(first, revoked_at=NOW_MS))
    assert not log.is_full
