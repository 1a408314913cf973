"""The difference between two runs. Pure."""

from __future__ import annotations

from typing import Any

COMPARED = ("items_processed", "inserted", "updated", "unchanged", "rejected")


def throughput(run: dict[str, Any]) -> float | None:
    """Records per second; None for a run that has not taken any time."""
    seconds = run["duration_seconds"]
    return round(run["records"] / seconds, 1) if seconds else None


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """What `diff` holds: each figure of both runs with its change, per source too, and the errors by where they occur."""
    names = sorted({*first["sources"], *second["sources"]})
    nothing = dict.fromkeys(COMPARED, 0)
    return {
        **{name: _change(first[name], second[name]) for name in COMPARED},
        "duration_seconds": _change(first["duration_seconds"], second["duration_seconds"]),
        "throughput_per_second": _change(throughput(first), throughput(second)),
        "sources": {
            name: {
                figure: _change(first["sources"].get(name, nothing)[figure], second["sources"].get(name, nothing)[figure])
                for figure in COMPARED
            }
            for name in names
        },
        "errors": _errors(first["errors"], second["errors"]),
    }


def _change(before: float | None, after: float | None) -> dict[str, Any]:
    difference = None if before is None or after is None else round(after - before, 3)
    return {"run_1": before, "run_2": after, "difference": difference}


def _errors(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Two errors are the same when code, source and stream are; their texts may name times."""

    def keyed(errors: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {(error["code"], error.get("source"), error.get("stream")): error for error in errors}

    a, b = keyed(first), keyed(second)
    return {
        "only_in_run_1": [error for key, error in a.items() if key not in b],
        "only_in_run_2": [error for key, error in b.items() if key not in a],
        "in_both": [error for key, error in a.items() if key in b],
    }
