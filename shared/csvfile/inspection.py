"""What a file would be taken for, told to people. Done in a confined child process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.csvfile.folder import CsvFile
from shared.csvfile.overrides import Overrides
from shared.csvfile.profile import Profile, profile
from shared.csvfile.rows import Tried
from shared.runtime.confined import MEGABYTE, Limits, Meter

MAX_BYTES = 32 * MEGABYTE  # that are read; ingestion reads all of a file
MAX_TRIED = 2 * MEGABYTE  # of these, rows are tried one by one
SHOWN_ROWS = 5
LIMITS = Limits(
    cpu_s=10.0,
    cpu_s_per_mb=1.0,
    memory=64 * MEGABYTE,
    answer=8 * MEGABYTE,
)


def inspected(
    meter: Meter, file: CsvFile, given: Overrides
) -> Iterator[dict[str, Any]]:
    """One: `profile`, `sample`, `tried` and `refused` of a file, as far as they are there.

    Raises TaskError for a file that cannot be read.
    """
    found = profile(file, given, at_most=MAX_BYTES, meter=meter)
    if found is None:
        message = f"{file.path} has no rows yet"
        yield {"refused": refusal("empty", message)}
        return
    meter(MAX_TRIED)
    tried = found.try_file(file, MAX_TRIED)
    answer: dict[str, Any] = {}
    if given.ignore:
        ignored = f"{file.path}: mapping.yaml says `ignore: true`"
        answer["refused"] = refusal("ignored", ignored)
    yield answer | _described(found, tried)


def _described(found: Profile, tried: Tried) -> dict[str, Any]:
    described = {
        "profile": found.described(),
        "sample": found.header.sample[:SHOWN_ROWS],
    }
    if found.refusal is not None:
        reason = found.refusal.reason
        described["refused"] = refusal(reason, found.refusal.message)
        return described
    described["tried"] = {
        "rows": tried.rows,
        "refused": tried.refused,
        "examples": tried.examples,
    }
    if tried.are_nearly_all_refused():
        described["refused"] = refusal("rows_refused", _summary(tried))
    return described


def _summary(tried: Tried) -> str:
    examples = [messages[0] for messages in tried.examples.values()]
    counts = (
        f"{tried.count()} of the first {tried.rows} rows would be refused"
    )
    return f"{counts}, such as: {'; '.join(examples)}"


def refusal(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}
