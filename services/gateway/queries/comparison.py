"""The difference between two runs. Pure."""

from __future__ import annotations

from typing import Any

COMPARED = (
    "items_processed",
    "inserted",
    "updated",
    "unchanged",
    "rejected",
)
Json = dict[str, Any]
ErrorKey = tuple[Any, ...]


def compare(first: Json, second: Json) -> Json:
    """What `diff` holds.

    Each figure of both runs with its change, per source too, and the errors by where they occur.
    """
    return {
        **_changes(first, second),
        **_speed(first, second),
        "sources": _by_source(first["sources"], second["sources"]),
        "errors": _errors(first["errors"], second["errors"]),
    }


def _speed(first: Json, second: Json) -> Json:
    seconds = _change(
        first["duration_seconds"], second["duration_seconds"]
    )
    per_second = _change(throughput(first), throughput(second))
    return {
        "duration_seconds": seconds,
        "throughput_per_second": per_second,
    }


def throughput(run: Json) -> float | None:
    """Records per second; None for a run that has not taken any time."""
    seconds = run["duration_seconds"]
    return round(run["records"] / seconds, 1) if seconds else None


def _by_source(first: Json, second: Json) -> Json:
    nothing = dict.fromkeys(COMPARED, 0)
    names = sorted({*first, *second})
    return {
        name: _changes(
            first.get(name, nothing), second.get(name, nothing)
        )
        for name in names
    }


def _changes(first: Json, second: Json) -> Json:
    return {
        figure: _change(first[figure], second[figure])
        for figure in COMPARED
    }


def _change(before: float | None, after: float | None) -> Json:
    difference = _difference(before, after)
    return {"run_1": before, "run_2": after, "difference": difference}


def _difference(
    before: float | None, after: float | None
) -> float | None:
    if before is None or after is None:
        return None
    return round(after - before, 3)


def _errors(
    first: list[Json], second: list[Json]
) -> dict[str, list[Json]]:
    a = _by_place(first)
    b = _by_place(second)
    return {
        "only_in_run_1": [
            error for key, error in a.items() if key not in b
        ],
        "only_in_run_2": [
            error for key, error in b.items() if key not in a
        ],
        "in_both": [error for key, error in a.items() if key in b],
    }


def _by_place(errors: list[Json]) -> dict[ErrorKey, Json]:
    """Two errors are the same when code, source and stream are; their texts may name times."""
    return {
        (error["code"], error.get("source"), error.get("stream")): error
        for error in errors
    }
