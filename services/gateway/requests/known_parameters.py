"""Parameters that an endpoint does not know, or that are given twice, are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from services.gateway.problems import field_problem
from shared.names import meant

MAX_SHOWN = 50  # characters of a name
_by_route: dict[str, tuple[str, ...]] = {}


async def check_parameters(request: Request) -> None:
    """Raises ProblemError 422: a typo would be answered with other data."""
    given = request.query_params.multi_items()
    if not given:
        return
    known = _known(request.scope["route"])
    seen = set()
    for name, _ in given:
        field = f"query.{name[:MAX_SHOWN]}"
        if name not in known:
            raise field_problem(
                field, f"there is no such parameter{meant(name, known)}"
            )
        if name in seen:
            raise field_problem(
                field, "it is given twice: give one value"
            )
        seen.add(name)


def _known(route: Any) -> tuple[str, ...]:
    """The parameters of a route and of what it depends on."""
    found = _by_route.get(route.unique_id)
    if found is None:
        found = tuple(_names(route.dependant))
        _by_route[route.unique_id] = found
    return found


def _names(dependant: Any) -> Iterator[str]:
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, field in model.model_fields.items():
                yield field.alias or name
        else:
            yield parameter.alias
    for inner in dependant.dependencies:
        yield from _names(inner)
