"""How far a standby is behind, from what two servers say of their logs."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway import replica
from services.gateway.database import Database
from services.gateway.middleware.read_replica import is_read
from services.gateway.replica import Replica
from services.gateway.settings import GatewaySettings


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(
        _env_file=None,
        database_url="postgresql://me:mine@one:5432/db",
        database_read_url="postgresql://other:theirs@two:5433/db",
        read_max_age_s=5,
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"s": 100.0}
    monkeypatch.setattr(replica.time, "monotonic", lambda: now["s"])
    return now


def at(
    reached: int, *, standby: bool = False, timeline: int = 1
) -> dict[str, Any]:
    return {
        "cluster": 7,
        "timeline": timeline,
        "is_standby": standby,
        "reached": reached,
    }


def test_its_login_is_that_of_the_primary(
    settings: GatewaySettings,
) -> None:
    url = settings.read_url()
    assert url.startswith("postgresql://me_reader:")
    assert url.endswith("@two:5433/db")
    with pytest.raises(ValueError, match="name one host"):
        GatewaySettings(
            _env_file=None,
            database_read_url="postgresql://a:b@one,two/db",
        )


def test_its_age_is_that_of_the_last_look_that_it_has_replayed(
    settings: GatewaySettings, clock: dict[str, float]
) -> None:
    found = Replica(settings, Database(settings))
    assert found.age_s() is None
    found._saw(100, at(50), at(40, standby=True))
    assert found.age_s() is None
    found._saw(101, at(60), at(50, standby=True))
    clock["s"] = 101.5
    assert found.age_s() == 1.5
    found._saw(102, at(70), at(65, standby=True))
    clock["s"] = 102.0
    assert found.age_s() == 1.0
    clock["s"] = 106.5
    assert found.age_s() is None
    assert "6 s behind" in (found.reason() or "")
    found._saw(106.5, at(70), at(70, standby=True))
    assert (found.age_s(), found.reason()) == (0.0, None)


def test_one_of_another_timeline_is_not_asked(
    settings: GatewaySettings, clock: dict[str, float]
) -> None:
    found = Replica(settings, Database(settings))
    found._saw(100, at(50), at(50, standby=True))
    assert found.age_s() == 0
    found._saw(100, at(40, timeline=2), at(50, standby=True))
    assert found.age_s() is None
    found._saw(100, at(45, timeline=2), at(45, standby=True, timeline=2))
    assert found.age_s() == 0
    found._saw(100, at(46, timeline=2), at(46, timeline=2))
    assert "no standby" in (found.reason() or "")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/data", True),
        ("GET", "/api/v1/data/x/lineage", True),
        ("POST", "/api/v1/price", True),
        ("POST", "/api/v1/coverage/fill", False),
        ("GET", "/api/v1/changes", False),
        ("GET", "/api/v1/runs", False),
        ("GET", "/api/v1/dataset", False),
        ("GET", "/data", False),
    ],
)
def test_questions_about_data_alone(
    method: str, path: str, *, expected: bool
) -> None:
    scope = {"type": "http", "method": method, "path": path}
    assert is_read(scope) is expected
    assert not is_read({"type": "lifespan"})
