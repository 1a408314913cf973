"""What is wrong with a request, in the words of this API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, get_args

from fastapi import Request
from pydantic import BaseModel

from services.gateway.requests.json_body import REFUSED
from shared.names import meant

Problem = dict[str, Any]  # as pydantic lists it
A_TIME = "a time such as 2024-01-31T12:00:00Z (in an address, + is written %2B)"
_SENTENCES: dict[str, str] = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "holds something that is not allowed here ({pattern})",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
}
_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
NO_OBJECT = "must be a JSON object: send it with the header Content-Type: application/json"
_NO_OBJECT = frozenset(
    {"dict_type", "model_type", "model_attributes_type"}
)


MAX_SHOWN = 20
MAX_NAME = 200  # characters of a field's place


def described(
    problems: Iterable[Problem], request: Request
) -> Iterator[dict[str, str]]:
    """Field and message of the first problems."""
    for problem in islice(problems, MAX_SHOWN):
        at = [str(part) for part in problem["loc"]]
        if problem["type"] == "json_invalid":
            yield {"field": "body", "message": _not_json(problem)}
            continue
        yield {
            "field": ".".join(at)[:MAX_NAME],
            "message": _message(problem, request),
        }


def _not_json(problem: Problem) -> str:
    reason = str(problem["ctx"]["error"])
    if reason.startswith(REFUSED):
        return reason.removeprefix(REFUSED)
    place = problem["loc"][-1]
    return f"is not JSON at character {place + 1 if isinstance(place, int) else 1}"


def _message(problem: Problem, request: Request) -> str:
    kind = str(problem["type"])
    if kind == "extra_forbidden":
        name = str(problem["loc"][-1])
        return (
            f"unknown field `{name[:50]}`{meant(name, _fields(request))}"
        )
    if kind in _NO_OBJECT:
        return NO_OBJECT
    if kind.startswith(("datetime", "date_", "timezone")):
        return f"must be {A_TIME}"
    if kind in ("value_error", "assertion_error"):
        return str(problem["msg"]).removeprefix("Value error, ")
    sentence = _SENTENCES.get(kind, "is not valid")
    # A member of an enumeration is told as what is sent for it.
    return _MEMBER.sub(
        r"\1", sentence.format_map(problem.get("ctx") or {})
    )


def _fields(request: Request) -> list[str]:
    """The fields that the body of a request may have, those inside its parts too."""
    route = request.scope.get("route")
    body = getattr(route, "body_field", None)
    return list(_fields_of(body.field_info.annotation)) if body else []


def _fields_of(model: object) -> Iterator[str]:
    if not _is_model(model):
        # `Body | None` and the like.
        for part in get_args(model):
            yield from _fields_of(part)
        return
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        yield field.alias or name
        yield from _fields_of(field.annotation)


def _is_model(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)
