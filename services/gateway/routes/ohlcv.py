"""GET /ohlcv"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.bars import choice, query
from services.gateway.bars.choice import PriceSeries
from services.gateway.bars.intervals import Interval
from services.gateway.bars.query import Window
from services.gateway.bars.schema import ALL, Ohlcv, OhlcvQuery
from services.gateway.database import Database, Where
from services.gateway.dependencies import ApiKey
from services.gateway.problems import (
    ProblemError,
    documented,
    field_problem,
)
from services.gateway.requests.kept_answers import (
    ETAG,
    Answer,
    KeptAnswers,
    Visible,
    keeping,
)
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import LINK
from services.gateway.requests.times import span, to_seconds, utc

MAX_READ = 2_000_000  # data points of an answer
MAX_SERIES = 20
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": {**LINK, **ETAG}},
    304: {"description": "What `If-None-Match` names is what there is"},
    **documented(401, 403, 404, 422, 503),
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


def kept_answers(database: Database) -> KeptAnswers[Asked]:
    """The answers of this endpoint, of one gateway."""

    async def make(asked: Asked) -> Answer:
        return await _made(database, asked)

    return KeptAnswers(Visible(database), make)


def _kept(request: Request) -> KeptAnswers[Asked]:
    answers: KeptAnswers[Asked] = request.app.state.ohlcv_answers
    return answers


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
    return await _kept(request).response(
        request, _checked(request, asked)
    )


def _checked(request: Request, asked: OhlcvQuery) -> Asked:
    """Raises ProblemError 422."""
    is_of_all = asked.dataset in (None, ALL)
    if asked.symbol is None and asked.instrument is None and is_of_all:
        raise ProblemError(
            422, "query: give `symbol`, `instrument` or `dataset`"
        )
    interval = Interval.parse(asked.interval)
    if interval is None:
        raise field_problem("query.interval", "is no interval")
    start, end = span(asked.start, asked.end)
    url = request.url.remove_query_params(_NOT_IN_LINK)
    return Asked(
        asked,
        interval,
        ZoneInfo(asked.tz),
        start,
        end,
        utc("as_of", asked.as_of),
        f"{url.path}?{url.query}&",
    )


async def _made(database: Database, asked: Asked) -> Answer:
    """Raises ProblemError 404, 422."""
    series = await choice.found(database, _wanted(asked.query))
    if not series:
        raise ProblemError(
            404, "there is no series of prices that matches: GET /series"
        )
    fitting = choice.fitting(series, asked.interval, asked.zone)
    if not fitting:
        raise _too_coarse(asked, series)
    is_all = asked.query.dataset == ALL
    chosen = fitting[:MAX_SERIES] if is_all else fitting[:1]
    window = _window(asked, chosen)
    if window is None:
        answers = [_answer(each, b"[]") for each in chosen]
        return _whole(asked, answers, series, chosen, {})
    page, link = _page(asked, window)
    _refuse_many(chosen, page)
    answers = []
    for each in chosen:
        statement, arguments = query.build(
            each, page, asked.query.fill, asked.as_of, asked.query.order
        )
        (row,) = await database.rows(statement, *arguments)
        answers.append(_answer(each, row["body"].encode()))
    return _whole(asked, answers, series, chosen, link)


def _wanted(asked: OhlcvQuery) -> Where:
    wanted = Where()
    wanted.add("symbol =", asked.symbol and asked.symbol.lower())
    wanted.add("instrument =", asked.instrument)
    if asked.dataset != ALL:
        wanted.add("dataset =", asked.dataset)
    wanted.add("source =", asked.source and str(asked.source))
    wanted.add("currency =", asked.currency)
    return wanted


def _too_coarse(asked: Asked, series: list[PriceSeries]) -> ProblemError:
    there = sorted(
        {each.shown()["interval"] or "unknown" for each in series}
    )
    return field_problem(
        "query.interval",
        f"bars of {asked.query.interval} in {asked.query.tz} cannot be made of whole candles of"
        f" {', '.join(there[:5])}",
    )


# -- which bars -----------------------------------------------------------------------------------


def _window(asked: Asked, chosen: list[PriceSeries]) -> Window | None:
    """All bars that are asked for and in which data points may lie; None where there are none."""
    interval, zone = asked.interval, asked.zone
    first = min(_first_of(each, zone) for each in chosen)
    last = max(each.last_at for each in chosen)
    start = interval.floor(first, zone)
    end = interval.after(interval.floor(last, zone), zone)
    if asked.start is not None:
        start = max(start, _at_or_after(asked.start, interval, zone))
    if asked.end is not None:
        end = min(end, _at_or_after(asked.end, interval, zone))
    if start >= end:
        return None
    return Window(interval, zone, start, end)


def _first_of(series: PriceSeries, zone: ZoneInfo) -> datetime:
    if series.is_by_close and series.interval:
        return series.interval.after(series.first_at, zone, -1)
    return series.first_at


def _at_or_after(
    moment: datetime, interval: Interval, zone: ZoneInfo
) -> datetime:
    """The first begin of a bar that is no earlier."""
    begin = interval.floor(moment, zone)
    return begin if begin == moment else interval.after(begin, zone)


def _page(asked: Asked, window: Window) -> tuple[Window, dict[str, str]]:
    """The bars of this page, and the header that leads to the next."""
    limit = asked.query.limit
    is_newest = asked.start is None or asked.query.order == "desc"
    interval, zone = window.interval, window.zone
    if is_newest:
        start = interval.after(window.end, zone, -limit)
        if start <= window.start:
            return window, {}
        link = _link(asked, window.start, start)
        return replace(window, start=start), link
    end = interval.after(window.start, zone, limit)
    if end >= window.end:
        return window, {}
    return replace(window, end=end), _link(asked, end, window.end)


def _link(asked: Asked, start: datetime, end: datetime) -> dict[str, str]:
    if asked.start is None and asked.query.order == "asc":
        return {}  # the newest bars: what comes after them is not there yet
    times = f"from={to_seconds(start)}&to={to_seconds(end)}"
    return {"Link": f'<{asked.path}{times}>; rel="next"'}


def _refuse_many(chosen: list[PriceSeries], page: Window) -> None:
    """Raises ProblemError 422 for more data points than a request may read."""
    length = page.end - page.start
    count = sum(_about(each, length) for each in chosen)
    if count > MAX_READ:
        raise field_problem(
            "query.limit",
            f"these bars are made of about {count:,} data points, at most {MAX_READ:,} are read at"
            " a time: ask for fewer",
        )


def _about(series: PriceSeries, length: timedelta) -> int:
    """How many data points of a series may lie within a length of time."""
    if series.interval is not None:
        every = timedelta(seconds=series.interval.about_seconds())
        return min(series.points, length // every)
    extent = series.last_at - series.first_at
    share = length / extent if extent else 1.0
    return int(series.points * min(1.0, share))


# -- the answer -----------------------------------------------------------------------------------


def _answer(series: PriceSeries, bars: bytes) -> dict[str, Any]:
    return {
        **series.shown(),
        "basis": series.basis,
        "bars": msgspec.Raw(bars),
    }


def _whole(
    asked: Asked,
    answers: list[dict[str, Any]],
    series: list[PriceSeries],
    chosen: list[PriceSeries],
    headers: dict[str, str],
) -> Answer:
    numbers = {each.series_id for each in chosen}
    others = [
        each.shown() for each in series if each.series_id not in numbers
    ]
    body = {
        "interval": asked.query.interval,
        "tz": asked.query.tz,
        "rule": choice.RULE,
        "series": answers,
        "others": others[:MAX_SERIES],
    }
    return Answer(msgspec.json.encode(body), headers)
