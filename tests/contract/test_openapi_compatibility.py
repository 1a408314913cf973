"""Clients of the last release go on working: its OpenAPI document against today's."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.runtime.health import Health
from tests.support.openapi_changes import breaking

RELEASED = Path(__file__).parent.parent / "data" / "openapi-0.2.0.json"
DATA = "/api/v1/data"


def today() -> dict[str, Any]:
    settings = GatewaySettings(
        _env_file=None, database_url="postgresql://x:y@localhost/z"
    )
    document: dict[str, Any] = create_app(
        settings, Health(None)
    ).openapi()
    return document


def test_nothing_that_the_last_release_offered_is_gone() -> None:
    released = json.loads(RELEASED.read_text())
    assert breaking(released, today()) == []


def drop_path(document: dict[str, Any]) -> None:
    del document["paths"][DATA]


def drop_parameter(document: dict[str, Any]) -> None:
    parameters = document["paths"][DATA]["get"]["parameters"]
    parameters[:] = [
        each for each in parameters if each["name"] != "skip"
    ]


def require_parameter(document: dict[str, Any]) -> None:
    for each in document["paths"][DATA]["get"]["parameters"]:
        if each["name"] == "symbol":
            each["required"] = True


def tighten_bound(document: dict[str, Any]) -> None:
    for each in document["paths"][DATA]["get"]["parameters"]:
        if each["name"] == "limit":
            each["schema"]["maximum"] = 500


def drop_field(document: dict[str, Any]) -> None:
    del document["components"]["schemas"]["DataPoint"]["properties"][
        "close"
    ]


def change_type(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["DataPoint"]["properties"][
        "revision"
    ] = {"type": "string"}


def drop_body_field(document: dict[str, Any]) -> None:
    del document["components"]["schemas"]["IngestRequest"]["properties"][
        "streams"
    ]


def require_body_field(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["IngestRequest"]["required"] = [
        "sources"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_path, "GET /api/v1/data is gone"),
        (drop_parameter, "skip is gone"),
        (require_parameter, "symbol is required now"),
        (tighten_bound, "maximum is 500 now"),
        (drop_field, "close is gone"),
        (change_type, "may be string now"),
        (drop_body_field, "streams is gone"),
        (require_body_field, "sources is required now"),
    ],
)
def test_what_would_break_a_client_is_seen(
    change: Callable[[dict[str, Any]], None], said: str
) -> None:
    before = today()
    after = copy.deepcopy(before)
    change(after)
    found = breaking(before, after)
    assert any(said in each for each in found), found
    assert breaking(before, before) == []
