"""GET /ohlcv"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.database import Database
from services.gateway.dependencies import ApiKey, side_of
from services.gateway.files.export import file_response
from services.gateway.files.formats import CONTENT, FileFormat
from services.gateway.files.wanted import refuse_pages, wanted_format
from services.gateway.prices import bars, choice
from services.gateway.prices.bar_files import BarQueries
from services.gateway.prices.bars import FILE_COLUMNS, MAX_READ
from services.gateway.prices.intervals import Interval
from services.gateway.prices.schema import (
    ALL,
    Ohlcv,
    OhlcvQuery,
)
from services.gateway.prices.series import WholeSeries
from services.gateway.prices.windows import Window, window_over
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
)
from services.gateway.queries.raw_pages import check_is_kept
from services.gateway.requests.kept_answers import (
    ETAG,
    NOT_MODIFIED,
    Answer,
    KeptAnswers,
    Visible,
    keeping,
)
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import LINK
from services.gateway.requests.times import span, to_seconds, utc

MAX_BARS_TOGETHER = 20_000
MAX_SERIES = 20
MAX_LOOKS = 100_000  # prices times series that they may come from
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": {**LINK, **ETAG}, "content": CONTENT},
    **NOT_MODIFIED,
    **documented(401, 403, 404, 406, 410, 422, 503),
}
_NOT_IN_LINK = ("from", "to")


@dataclass(frozen=True)
class Asked:
    """A query that was checked. `path`: with its parameters but `from` and `to`."""

    query: OhlcvQuery
    interval: Interval
    zone: ZoneInfo
    start: datetime | None
    end: datetime | None
    as_of: datetime | None
    path: str


def kept_answers(
    database: Database, visible: Visible
) -> KeptAnswers[Asked]:
    """The answers of this endpoint, of one gateway."""

    async def make(asked: Asked) -> Answer:
        return await _made(database, asked)

    return KeptAnswers(visible, make)


def _kept(request: Request) -> KeptAnswers[Asked]:
    return side_of(request).ohlcv_answers


router = APIRouter(
    tags=["prices"],
    dependencies=[Depends(check_parameters)],
    route_class=keeping(_kept),
)


@router.get(
    "/ohlcv",
    response_model=Ohlcv,
    responses=_RESPONSES,
    summary="Candles of any interval",
)
async def read_ohlcv(
    request: Request,
    _key: ApiKey,
    asked: Annotated[OhlcvQuery, Query()],
) -> Response:
    """Open, high, low, close of each bar, from candles of a finer interval or from prices.

    One series a bar: where several match, `rule` says how it was chosen, and `others` which there
    are. Without `from` and `to` the newest `limit` bars. `Link: rel="next"` leads to the next.
    """
    form = wanted_format(request, asked.format)
    checked = _checked(request, asked)
    if form != FileFormat.JSON:
        return await _file(request, checked, form)
    return await _kept(request).response(request, checked)


async def _file(
    request: Request, asked: Asked, form: FileFormat
) -> Response:
    """Raises ProblemError 404, 410, 422, 429, 503."""
    refuse_pages(asked.query, "limit", "order")
    database = side_of(request).questions
    chosen, _ = await _found(database, asked, most=None)
    window = _window(asked, chosen) or Window.without_bars(
        asked.interval, asked.zone
    )
    queries = BarQueries(
        chosen, window, asked.query.fill, asked.as_of, form
    )
    return await file_response(
        request,
        "ohlcv",
        form,
        FILE_COLUMNS,
        queries,
        is_in_pieces=True,
    )


def _checked(request: Request, asked: OhlcvQuery) -> Asked:
    """Raises ProblemError 422."""
    is_of_all = asked.dataset in (None, ALL)
    if asked.symbol is None and asked.instrument is None and is_of_all:
        raise ProblemError(
            422, "query: give `symbol`, `instrument` or `dataset`"
        )
    start, end = span(asked.start, asked.end)
    url = request.url.remove_query_params(_NOT_IN_LINK)
    return Asked(
        asked,
        Interval.of(asked.interval),
        ZoneInfo(asked.tz),
        start,
        end,
        utc("as_of", asked.as_of),
        f"{url.path}?{url.query}&",
    )


async def _made(database: Database, asked: Asked) -> Answer:
    """Raises ProblemError 404, 410, 422."""
    chosen, series = await _found(database, asked)
    window = _window(asked, chosen)
    if window is None:
        answers = [_answer(each, b"[]") for each in chosen]
        return _whole(asked, answers, series, {})
    page, rest = window.page(
        asked.query.limit, asked.start, asked.query.order
    )
    _refuse_much(chosen, page)
    answers = [
        await _bars_of(database, asked, each, page) for each in chosen
    ]
    return _whole(asked, answers, series, _link(asked, rest))


async def _found(
    database: Database, asked: Asked, most: int | None = MAX_SERIES
) -> tuple[list[WholeSeries], list[WholeSeries]]:
    """The series that were chosen, and all that match. Raises ProblemError 404, 410, 422.

    `most`: of `dataset=all`.
    """
    if asked.as_of is not None:
        await check_is_kept(database, asked.as_of)
    series = await choice.found(
        database,
        asked.query.conditions(),
        is_of_now=asked.as_of is None,
    )
    if not series:
        raise ProblemError(
            404, "there is no series of prices that matches: GET /series"
        )
    return _chosen(asked, series, most), series


def _window(asked: Asked, chosen: list[WholeSeries]) -> Window | None:
    return window_over(
        chosen, asked.interval, asked.zone, asked.start, asked.end
    )


def _chosen(
    asked: Asked, series: list[WholeSeries], most: int | None
) -> list[WholeSeries]:
    """By the rule, or all that fit. Raises ProblemError 422 where none does."""
    fitting = choice.fitting(series, asked.interval, asked.zone)
    if not fitting:
        raise _too_coarse(asked, series)
    return fitting[: most if asked.query.dataset == ALL else 1]


async def _bars_of(
    database: Database, asked: Asked, series: WholeSeries, page: Window
) -> dict[str, Any]:
    statement, arguments = bars.build(
        series, page, asked.query.fill, asked.as_of, asked.query.order
    )
    (row,) = await database.rows(statement, *arguments)
    if (row["read"] or 0) > MAX_READ:
        raise _too_much(row["read"])
    return _answer(series, row["body"].encode())


def _too_coarse(asked: Asked, series: list[WholeSeries]) -> ProblemError:
    there = sorted(
        {each.shown["interval"] or "unknown" for each in series}
    )
    return field_problem(
        "query.interval",
        f"bars of {asked.query.interval} in {asked.query.tz} cannot be made of whole candles of"
        f" {', '.join(there[:5])}",
    )


def _link(asked: Asked, rest: Window | None) -> dict[str, str]:
    """The header that leads to the rest, where there is one."""
    if rest is None:
        return {}
    times = f"from={to_seconds(rest.start)}&to={to_seconds(rest.end)}"
    return {"Link": f'<{asked.path}{times}>; rel="next"'}


def _refuse_much(chosen: list[WholeSeries], page: Window) -> None:
    """Raises ProblemError 422 for more than a request may read, or an answer hold."""
    bars = len(chosen) * page.count()
    if bars > MAX_BARS_TOGETHER:
        raise field_problem(
            "query.limit",
            f"{len(chosen)} series have {bars:,} bars, at most {MAX_BARS_TOGETHER:,} are answered"
            " at a time: ask for fewer",
        )
    count = sum(
        each.points_within(page.start, page.end) for each in chosen
    )
    if count > MAX_READ:
        raise _too_much(count)


def _too_much(count: int) -> ProblemError:
    return field_problem(
        "query.limit",
        f"these bars are made of about {count:,} data points, at most {MAX_READ:,} are read at a"
        " time: ask for fewer",
    )


def _answer(series: WholeSeries, bars: bytes) -> dict[str, Any]:
    return {
        **series.shown,
        "basis": series.basis,
        "bars": msgspec.Raw(bars),
    }


def _whole(
    asked: Asked,
    answers: list[dict[str, Any]],
    series: list[WholeSeries],
    headers: dict[str, str],
) -> Answer:
    body = {
        "interval": asked.query.interval,
        "tz": asked.query.tz,
        "rule": choice.RULE,
        "series": answers,
        "others": _others(series, answers),
    }
    return Answer(msgspec.json.encode(body), headers)


def _others(
    series: list[WholeSeries], answers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The first of those that match and were not chosen."""
    shown = {answer["ids"][0] for answer in answers}
    others = [each for each in series if each.ids[0] not in shown]
    return [each.shown for each in others[:MAX_SERIES]]
