"""Which streams a command means: pure but for the sources, which list theirs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import zip_longest

import msgspec

from services.extractor.sources.base import (
    LeftOut,
    SourceConnector,
    StreamInfo,
)
from shared.blame import last_line
from shared.errors import TaskError, TransientError
from shared.identity.ids import task_id
from shared.messages.commands import StartIngestion
from shared.messages.run_events import PlannedTask, RunError, RunPlanned
from shared.runtime import logs

TASKS_A_MESSAGE = 2_000
MAX_ERRORS = 100
MAX_NOTES = 100
NO_HISTORY = (
    "no source that was asked for has a history; CoinPaprika has one, "
    "of the coins in COIN_IDS"
)
UNLISTED = frozenset({"internal_error", "storage_away"})
Sources = dict[str, SourceConnector]
WhyPaused = Callable[[str], str | None]
log = logs.get(__name__)


def _never(_name: str) -> None:
    return None


async def plan(
    command: StartIngestion,
    sources: Sources,
    why_paused: WhyPaused = _never,
) -> RunPlanned:
    """Which streams a command means.

    Unknown sources and streams are errors of the run, not of the planner. `why_paused`: a sentence
    where a stream is paused.
    """
    wanted, errors = _wanted_sources(command, sources)
    if command.start is not None:
        found, notes = _history(command, sources, wanted)
    else:
        found, notes, missed = await _configured(command, sources, wanted)
        errors += [
            error
            for error in missed
            if command.streams is None or error.code in UNLISTED
        ]
    if command.streams is not None and command.start is None:
        found, unknown = _chosen(command.streams, sources, wanted, found)
        unlisted = {
            each.source for each in errors if each.code in UNLISTED
        }
        errors += [
            each for each in unknown if each.source not in unlisted
        ]
        notes = []
    paused = _paused(found, why_paused)
    if command.streams is not None:
        errors += [
            RunError(
                code="paused",
                message=f"{why}: resume it first",
                stream=stream,
                source=stream.partition("/")[0],
            )
            for stream, why in paused.items()
        ]
    else:
        notes += _notes_of_paused(paused)
    tasks = [
        _planned(command.run_id, stream)
        for stream in _in_turn(
            stream for stream in found if stream not in paused
        )
    ]
    return RunPlanned(
        run_id=command.run_id,
        tasks=tasks,
        errors=errors,
        notes=_bounded_notes([*command.notes, *notes]),
    )


def _paused(
    streams: Iterable[str], why_paused: WhyPaused
) -> dict[str, str]:
    """Why, by stream, of those that are paused."""
    reasons = {stream: why_paused(stream) for stream in streams}
    return {stream: why for stream, why in reasons.items() if why}


def _notes_of_paused(paused: dict[str, str]) -> list[str]:
    counts = Counter(paused.values())
    return [f"{why}: {n} left out" for why, n in counts.items()]


def _in_turn(streams: Iterable[str]) -> Iterator[str]:
    """One of each source after the other, so that none waits for all of another."""
    by_source: defaultdict[str, list[str]] = defaultdict(list)
    for stream in streams:
        by_source[stream.partition("/")[0]].append(stream)
    for row in zip_longest(*by_source.values()):
        yield from filter(None, row)


def _bounded_notes(notes: list[str]) -> list[str]:
    more = len(notes) - MAX_NOTES
    if more <= 0:
        return notes
    return [*notes[:MAX_NOTES], f"{more} more notes are left out"]


def _planned(run_id: str, stream: str) -> PlannedTask:
    source = stream.partition("/")[0]
    return PlannedTask(
        task_id=task_id(run_id, stream), source=source, stream=stream
    )


async def _configured(
    command: StartIngestion, sources: Sources, wanted: list[str]
) -> tuple[dict[str, StreamInfo], list[str], list[RunError]]:
    """(the streams that the sources list, notes about them, what of them cannot be read)."""
    found: dict[str, StreamInfo] = {}
    notes = []
    errors = []
    for name in wanted:
        source = sources[name]
        try:
            listed = await source.streams()
            left_out = await source.left_out()
        except (MemoryError, TransientError):
            raise
        except Exception as error:  # noqa: BLE001  the other sources are read all the same
            errors.append(_unlisted(name, error))
            continue
        found.update({info.stream: info for info in listed})
        for left in left_out:
            if left.is_missed:
                errors.append(_missed(name, left))
            else:
                notes.append(left.sentence)
        is_missed = command.sources is not None or not source.is_optional
        if not listed and is_missed:
            notes.append(
                f"{name}: no streams, {source.nothing_configured()}"
            )
    return found, notes, errors


def _unlisted(source: str, error: Exception) -> RunError:
    """The streams of a source cannot be listed."""
    if isinstance(error, TaskError):
        return RunError(
            code=error.code, message=error.message, source=source
        )
    log.error(
        "listing_crashed",
        source=source,
        exc_info=error,
    )
    return RunError(
        code="internal_error", message=last_line(error), source=source
    )


def _missed(source: str, left: LeftOut) -> RunError:
    return RunError(
        code="unreadable_file", message=left.sentence, source=source
    )


def _history(
    command: StartIngestion, sources: Sources, wanted: list[str]
) -> tuple[dict[str, StreamInfo], list[str]]:
    """(the streams of the command's days, notes). The gateway refuses days that are invalid."""
    start = date.fromisoformat(str(command.start))
    end = date.fromisoformat(str(command.end))
    found = {
        info.stream: info
        for name in wanted
        for info in sources[name].history(start, end)
        if _is_of(info.stream, command.streams)
    }
    return found, [] if found else [NO_HISTORY]


def _is_of(stream: str, parents: list[str] | None) -> bool:
    return parents is None or any(
        stream.startswith(f"{parent}/") for parent in parents
    )


def _chosen(
    streams: list[str],
    sources: Sources,
    wanted: list[str],
    listed: dict[str, StreamInfo],
) -> tuple[dict[str, StreamInfo], list[RunError]]:
    """(the streams that were asked for, errors for those that do not exist)."""
    known = dict(listed)
    for name in wanted:
        for stream in streams:
            info = (
                None if stream in listed else sources[name].find(stream)
            )
            if info is not None:
                known[stream] = info
    unknown = [
        _unknown_stream(stream, known)
        for stream in streams
        if stream not in known and stream.partition("/")[0] in sources
    ]
    return {
        stream: known[stream] for stream in streams if stream in known
    }, unknown


def _wanted_sources(
    command: StartIngestion, sources: Sources
) -> tuple[list[str], list[RunError]]:
    names = command.sources
    if names is None and command.streams is not None:
        names = [stream.partition("/")[0] for stream in command.streams]
    if names is None:
        names = list(sources)
    names = list(dict.fromkeys(names))
    errors = [
        _unknown_source(name, sources)
        for name in names
        if name not in sources
    ]
    return [name for name in names if name in sources], errors


def _unknown_source(name: str, sources: Sources) -> RunError:
    message = f"there is no source {name!r}: use {', '.join(sources)}"
    return RunError(code="unknown_source", message=message, source=name)


def _unknown_stream(
    stream: str, found: dict[str, StreamInfo]
) -> RunError:
    some = ", ".join(name[:80] for name in list(found)[:3]) or "none"
    more = " …" if len(found) > 3 else ""
    return RunError(
        code="unknown_stream",
        message=f"there is no stream {stream!r}; known are: {some}{more}",
        stream=stream,
        source=stream.partition("/")[0],
    )


def parts_of(planned: RunPlanned) -> list[RunPlanned]:
    """RunPlanned in messages of bounded size; the last one says that it is the last."""
    errors = _bounded(planned.errors)
    tasks = planned.tasks
    parts = []
    for start in range(0, max(len(tasks), 1), TASKS_A_MESSAGE):
        end = start + TASKS_A_MESSAGE
        part = msgspec.structs.replace(
            planned,
            tasks=tasks[start:end],
            errors=errors,
            is_last=end >= len(tasks),
        )
        parts.append(part)
    return parts


def _bounded(errors: list[RunError]) -> list[RunError]:
    more = len(errors) - MAX_ERRORS
    if more <= 0:
        return errors
    message = f"{more} more streams could not be planned"
    source = errors[-1].source
    rest = RunError(code="more_errors", message=message, source=source)
    return [*errors[:MAX_ERRORS], rest]
