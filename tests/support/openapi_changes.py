"""What a client of one OpenAPI document could not do with another any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_ONLY = {"enum", "const", "pattern"}
METHODS = ("get", "post", "put", "delete", "patch")


def breaking(old: Json, new: Json) -> list[str]:
    """Sentences, none where every old request is still taken and every old field answered."""
    return list(_paths(old, new))


def _paths(old: Json, new: Json) -> Iterator[str]:
    for path, operations in old["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            name = f"{method.upper()} {path}"
            operation = new["paths"].get(path, {}).get(method)
            if operation is None:
                yield f"{name} is gone"
                continue
            yield from _parameters(
                name, (old, operations[method]), (new, operation)
            )
            yield from _bodies(
                name, (old, operations[method]), (new, operation)
            )
            yield from _answers(
                name, (old, operations[method]), (new, operation)
            )


def _parameters(
    name: str, old: tuple[Json, Json], new: tuple[Json, Json]
) -> Iterator[str]:
    before, after = _named(old[1]), _named(new[1])
    for key, parameter in before.items():
        at = f"{name}: the parameter {key[0]}"
        if key not in after:
            yield f"{at} is gone"
            continue
        yield from _narrower(
            at,
            (old[0], parameter["schema"]),
            (new[0], after[key]["schema"]),
        )
        if after[key].get("required") and not parameter.get("required"):
            yield f"{at} is required now"
    for key, parameter in after.items():
        if parameter.get("required") and key not in before:
            yield f"{name}: the parameter {key[0]} is new and required"


def _named(operation: Json) -> dict[tuple[str, str], Json]:
    return {
        (each["name"], each["in"]): each
        for each in operation.get("parameters", ())
    }


def _bodies(
    name: str, old: tuple[Json, Json], new: tuple[Json, Json]
) -> Iterator[str]:
    before, after = (
        _schema(each[1].get("requestBody")) for each in (old, new)
    )
    if before is None:
        return
    if after is None:
        yield f"{name} takes no body any more"
        return
    yield from _narrower(
        f"{name}: the body", (old[0], before), (new[0], after)
    )


def _answers(
    name: str, old: tuple[Json, Json], new: tuple[Json, Json]
) -> Iterator[str]:
    for status, answer in old[1]["responses"].items():
        if not status.startswith("2"):
            continue
        if status not in new[1]["responses"]:
            yield f"{name} does not answer {status} any more"
            continue
        before = _schema(answer)
        after = _schema(new[1]["responses"][status])
        if before is not None:
            yield from _poorer(
                f"{name}: the answer",
                (old[0], before),
                (new[0], after or {}),
            )


def _schema(holder: Json | None) -> Json | None:
    content = (holder or {}).get("content", {})
    found: Json | None = content.get("application/json", {}).get("schema")
    return found


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _forms(document: Json, schema: Json) -> list[Json]:
    """The schemas any of which may hold, but null."""
    schema = _resolved(document, schema)
    either = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return [
        each
        for each in (_resolved(document, form) for form in either)
        if each.get("type") != "null"
    ]


def _may_be_null(document: Json, schema: Json) -> bool:
    schema = _resolved(document, schema)
    either = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return any(
        _resolved(document, form).get("type") == "null" for form in either
    )


def _narrower(
    at: str, old: tuple[Json, Json], new: tuple[Json, Json]
) -> Iterator[str]:
    """What was taken and is not any more: types, values, bounds, fields of an object."""
    before, after = _forms(*old), _forms(*new)
    if not after:
        return
    types = {each.get("type") for each in after}
    for form in before:
        if form.get("type") not in types and None not in types:
            yield f"{at} takes no {form.get('type')} any more"
            continue
        same = [
            each for each in after if each.get("type") == form.get("type")
        ]
        if form.get("type") == "object" and same:
            yield from _fewer_fields(
                at, (old[0], form), (new[0], same[0])
            )
        yield from _fewer_values(at, form, same)
        for bound, is_tighter in _BOUNDS.items():
            for each in same:
                if is_tighter(form.get(bound), each.get(bound)):
                    yield f"{at}: {bound} is {each[bound]} now"


def _fewer_values(at: str, form: Json, same: list[Json]) -> Iterator[str]:
    """Values that were taken; of patterns only that there was none."""
    known = _values(form)
    listed = [value for each in same for value in _values(each)]
    if not same or not all(_ONLY & each.keys() for each in same):
        return
    if any("pattern" in each for each in same):
        if not _ONLY & form.keys():
            yield f"{at} takes no other values any more"
    elif not known:
        yield f"{at} takes no other values any more"
    for value in sorted(set(known) - set(listed)) if listed else ():
        yield f"{at} takes no {value!r} any more"


def _values(form: Json) -> list[Any]:
    return [
        *form.get("enum", ()),
        *([form["const"]] if "const" in form else ()),
    ]


def _fewer_fields(
    at: str, old: tuple[Json, Json], new: tuple[Json, Json]
) -> Iterator[str]:
    fields = new[1].get("properties", {})
    for name, schema in old[1].get("properties", {}).items():
        if name not in fields:
            yield f"{at}: the field {name} is gone"
        else:
            yield from _narrower(
                f"{at}: the field {name}",
                (old[0], schema),
                (new[0], fields[name]),
            )
    needed = set(new[1].get("required", ()))
    for name in sorted(needed - set(old[1].get("required", ()))):
        yield f"{at}: the field {name} is required now"


def _is_less(old: Any, new: Any) -> bool:
    return new is not None and (old is None or new < old)


def _is_more(old: Any, new: Any) -> bool:
    return new is not None and (old is None or new > old)


_BOUNDS = {
    "maximum": _is_less,
    "maxLength": _is_less,
    "maxItems": _is_less,
    "minimum": _is_more,
    "minLength": _is_more,
    "minItems": _is_more,
}


def _poorer(
    at: str,
    old: tuple[Json, Json],
    new: tuple[Json, Json],
    depth: int = 0,
) -> Iterator[str]:
    """Fields that were answered and are not any more, or are something else."""
    if depth > 12:
        return
    before, after = _forms(*old), _forms(*new)
    if not before or not after:
        return
    if _may_be_null(*new) and not _may_be_null(*old):
        yield f"{at} may be null now"
    types = {each.get("type") for each in before}
    for each in after:
        if each.get("type") not in types and None not in types:
            yield f"{at} may be {each.get('type')} now"
    first, last = before[0], after[0]
    if "items" in first and "items" in last:
        yield from _poorer(
            f"{at}[]",
            (old[0], first["items"]),
            (new[0], last["items"]),
            depth + 1,
        )
    fields = last.get("properties", {})
    always = set(first.get("required", ())) & fields.keys()
    for name in sorted(always - set(last.get("required", ()))):
        yield f"{at}: {name} may be left out now"
    for name, schema in first.get("properties", {}).items():
        if name not in fields:
            yield f"{at}: {name} is gone"
            continue
        yield from _poorer(
            f"{at}.{name}",
            (old[0], schema),
            (new[0], fields[name]),
            depth + 1,
        )
