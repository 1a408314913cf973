"""GET /coverage; POST /coverage/fill"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from services.gateway.coverage.causes import Claim, explained
from services.gateway.coverage.filling import (
    Missing,
    can_fill,
    most_calls,
    windows,
)
from services.gateway.coverage.gaps import (
    Present,
    Rhythm,
    claims_of,
    extents,
    is_hole,
    present,
    rhythm_of,
    too_much,
)
from services.gateway.coverage.schema import (
    MAX_SERIES,
    Coverage,
    CoverageQuery,
    FillBody,
    Filling,
    FillWindow,
)
from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, Bus, QuestionsDb
from services.gateway.prices.bars import MAX_READ
from services.gateway.prices.intervals import Interval
from services.gateway.prices.series import WholeSeries, whole_series
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
    unavailable,
)
from services.gateway.queries.sources import budget_of
from services.gateway.requests.answers import as_json
from services.gateway.requests.json_body import JsonBodyRoute
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import link_to_skip, paged
from services.gateway.requests.parameters import (
    IdempotencyKey,
    accepted,
    opened,
)
from services.gateway.requests.times import now as now_text
from services.gateway.requests.times import span
from services.gateway.schemas.runs import RunAccepted
from services.gateway.schemas.sources import Budget
from shared.identity.ids import new_run_id
from shared.identity.windows import Window
from shared.messages.base import Source
from shared.messages.commands import StartIngestion

TIMEOUT_S = 20.0  # of all that a request reads
MAX_WINDOWS = 500  # of a run
router = APIRouter(
    tags=["series"],
    dependencies=[Depends(check_parameters)],
    route_class=JsonBodyRoute,
)


@dataclass(frozen=True)
class _Found:
    """What was found out about a series."""

    series: WholeSeries
    start: datetime
    end: datetime
    rhythm: Rhythm
    there: Present
    holes: list[Claim]

    def missing(self) -> list[Missing]:
        grid = self.rhythm.grid
        return [
            Missing(
                self.series,
                grid.at(hole.span.first),
                min(grid.at(hole.span.past), self.end),
                hole.cause,
                hole.reason,
            )
            for hole in self.holes
        ]


@router.get(
    "/coverage",
    response_model=list[Coverage],
    responses=paged(401, 403, 422, 503),
    summary="What is missing, and why",
)
async def read_coverage(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[CoverageQuery, Query()],
) -> Response:
    """Each series that matches, with every hole in it and its cause.

    Nothing is inferred: what no record tells is `unknown`. Without `from` and `to` all times that a
    data point or a question to the source is known of.
    """
    found = await whole_series(database, asked.conditions())
    page = found[asked.skip : asked.skip + asked.limit]
    every = Interval.parse(asked.every)
    covered = await _covered(
        database, page, asked.start, asked.end, every, "query"
    )
    today = datetime.now(UTC).date()
    body = [_shown(each, today) for each in covered]
    headers = {}
    if len(found) > asked.skip + asked.limit:
        headers = link_to_skip(request, asked.skip + asked.limit)
    return as_json(body, headers)


async def _covered(
    database: Database,
    series: list[WholeSeries],
    start: datetime | None,
    end: datetime | None,
    every: Interval | None,
    place: str,
) -> list[_Found]:
    """`place`: of `from` and `to`. Raises ProblemError 422, 503."""
    first, past = span(start, end, place)
    now = datetime.now(UTC)
    looked_at = await extents(database, series, first, past)
    _refuse_much(series, looked_at)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return [
                await _found(database, each, *own, every, now)
                for each, own in zip(series, looked_at, strict=True)
            ]
    except TimeoutError:
        raise unavailable(
            "it took too long: ask for fewer series, or a shorter time"
        ) from None


async def _found(
    database: Database,
    series: WholeSeries,
    start: datetime,
    end: datetime,
    every: Interval | None,
    now: datetime,
) -> _Found:
    rhythm = await rhythm_of(database, series, every)
    there = await present(database, series, rhythm, start, end)
    claims = await claims_of(database, series, rhythm, start, end, now)
    holes = [
        each
        for each in explained(there.gaps, claims)
        if is_hole(series, each)
    ]
    return _Found(series, start, end, rhythm, there, holes)


def _refuse_much(
    series: list[WholeSeries],
    looked_at: list[tuple[datetime, datetime]],
) -> None:
    """Raises ProblemError 422."""
    count = _about(series, looked_at)
    if count > MAX_READ:
        raise too_much(count)


def _about(
    series: list[WholeSeries],
    looked_at: list[tuple[datetime, datetime]],
) -> int:
    return sum(
        each.points_within(*own)
        for each, own in zip(series, looked_at, strict=True)
    )


def _shown(found: _Found, today: date) -> dict[str, Any]:
    rhythm = found.rhythm
    missing = found.there.missing if rhythm.is_counted else None
    expected = None if missing is None else found.there.points + missing
    every = rhythm.every
    return {
        **found.series.shown,
        "from": found.start,
        "to": found.end,
        "every_seconds": None
        if every is None
        else round(every.total_seconds()),
        "every_is": rhythm.source,
        "points": found.there.points,
        "expected": expected,
        "completeness": share(found.there.points, expected),
        "holes": [
            _hole(missing, hole, rhythm, today)
            for missing, hole in zip(
                found.missing(), found.holes, strict=True
            )
        ],
        "more_from": found.there.more_from,
    }


def share(points: int, expected: int | None) -> float | None:
    """Rounded down, so that 1 means that nothing is missing."""
    if not expected:
        return None
    return min(points * 10_000 // expected, 10_000) / 10_000


def _hole(
    missing: Missing, hole: Claim, rhythm: Rhythm, today: date
) -> dict[str, Any]:
    count = hole.span.past - hole.span.first
    return {
        "from": missing.start,
        "to": missing.end,
        "missing": count if rhythm.is_counted else None,
        "cause": hole.cause,
        "reason": hole.reason,
        "run_id": hole.run_id,
        "can_fill": can_fill(missing, today),
    }


# -- filling --------------------------------------------------------------------------------------


@router.post(
    "/coverage/fill",
    response_model=Filling,
    responses={
        202: {"model": Filling, "description": "It is done in a run"},
        **documented(401, 403, 409, 413, 422, 503),
    },
    summary="Ask the sources for what is missing",
)
async def fill(
    response: Response,
    key: ApiKey,
    database: QuestionsDb,
    bus: Bus,
    body: Annotated[FillBody, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Filling:
    """Plans the holes that a source can fill (`can_fill`), and asks for them in one run: 202.

    With `dry_run`, and where there is nothing to ask for, 200 without a run. 409 where the source's
    budget has fewer calls left than it takes. The same Idempotency-Key and body is the same run.
    """
    name = idempotency_key
    if name is not None:
        name = f"{name} {body.model_dump_json()}"
    run_id = new_run_id(key, name)
    budget = budget_of(Source.COINPAPRIKA, bus.checkpoints)
    if name is not None and await bus.find(run_id) is not None:
        run = accepted(response, run_id)
        response.status_code = 202
        return _filling(None, None, budget, run)
    asked, calls = await _wanted(database, body)
    if body.dry_run or not asked:
        return _filling(asked, calls, budget, None)
    refuse_beyond(budget, calls)
    command = StartIngestion(
        run_id=run_id,
        streams=[each.stream for each in asked],
        requested_at=now_text(),
    )
    run = await opened(response, bus, command, name)
    response.status_code = 202
    return _filling(asked, calls, budget, run)


async def _wanted(
    database: Database, body: FillBody
) -> tuple[list[Window], int]:
    """(windows, the most calls that they take). Raises ProblemError 422."""
    series = await whole_series(database, body.conditions())
    if len(series) > MAX_SERIES:
        raise field_problem(
            "body",
            f"{len(series)} series match, at most {MAX_SERIES} are filled at a time: name fewer",
        )
    found = await _covered(
        database, series, body.start, body.end, None, "body"
    )
    missing = [hole for each in found for hole in each.missing()]
    asked = windows(missing, datetime.now(UTC).date())
    if len(asked) > MAX_WINDOWS:
        raise field_problem(
            "body",
            f"it takes {len(asked)} windows, at most {MAX_WINDOWS} are filled at a time: name fewer"
            " series, or a shorter time",
        )
    return asked, most_calls(asked)


def refuse_beyond(budget: Budget | None, calls: int) -> None:
    """Raises ProblemError 409 where the month's calls do not suffice."""
    if budget is None or budget.per_month is None:
        return
    left = max(0, budget.per_month - budget.used)
    if calls > left:
        raise ProblemError(
            409,
            f"it takes up to {calls} calls, and {left} of {budget.per_month} are left in"
            f" {budget.month}: name fewer series, or a shorter time",
        )


def _filling(
    asked: list[Window] | None,
    calls: int | None,
    budget: Budget | None,
    run: RunAccepted | None,
) -> Filling:
    return Filling(
        windows=None
        if asked is None
        else [
            FillWindow(
                stream=each.stream,
                start=str(each.start),
                end=str(each.end),
                calls=most_calls([each]),
            )
            for each in asked
        ],
        calls=calls,
        budget=budget,
        run_id=run and run.run_id,
        status=run and run.status,
        links=run.links if run else {},
    )
