"""Clients of the last release go on working: its OpenAPI document against today's."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.gateway import app
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.runtime.health import Health
from tests.support.openapi_changes import breaking

DOCUMENTS = Path(__file__).parent.parent / "data"
RELEASED = DOCUMENTS / "openapi-0.3.0.json"
EXAMPLES = Path(app.__file__).with_name("examples.json")
DATA = "/api/v1/data"


def today() -> dict[str, Any]:
    settings = GatewaySettings(
        _env_file=None, database_url="postgresql://x:y@localhost/z"
    )
    document: dict[str, Any] = create_app(
        settings, Health(None)
    ).openapi()
    return document


@pytest.mark.parametrize(
    "document", sorted(DOCUMENTS.glob("openapi-*.json")), ids=str
)
def test_nothing_that_a_release_offered_is_gone(document: Path) -> None:
    released = json.loads(document.read_text())
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


def allow_null(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["DataPoint"]["properties"]
    fields["revision"] = {
        "anyOf": [{"type": "integer"}, {"type": "null"}]
    }


def leave_out(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["DataPoint"]["required"].remove(
        "revision"
    )


def narrow_values(document: dict[str, Any]) -> None:
    for each in document["paths"]["/api/v1/raw"]["get"]["parameters"]:
        if each["name"] == "stream":
            each["schema"] = {"type": "string", "enum": ["rss/x"]}


def drop_value(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["RunStatus"]["enum"].remove(
        "queued"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (allow_null, "revision may be null now"),
        (leave_out, "revision may be left out now"),
        (narrow_values, "no other values any more"),
        (drop_value, "takes no 'queued' any more"),
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


def test_examples_are_answers_that_the_api_gives() -> None:
    document = today()
    shown = {}
    for path, operations in document["paths"].items():
        answer = (
            operations.get("get", {}).get("responses", {}).get("200", {})
        )
        content = answer.get("content", {}).get("application/json", {})
        if "example" in content:
            shown[path] = content
    assert set(shown) == {
        f"/api/v1{path}" for path in json.loads(EXAMPLES.read_text())
    }
    for path, content in shown.items():
        schema = {
            **content["schema"],
            "components": document["components"],
        }
        jsonschema_rs.validate(schema, content["example"])
        assert content["example"], path


def test_every_answer_with_a_problem_is_the_same_one() -> None:
    document = today()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and not path.endswith("/health"):
                    assert (
                        "$ref" in answer
                        or "application/json" in (answer["content"])
                    ), (path, status)
