"""GET /agreement"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.dependencies import ApiKey, QuestionsDb
from services.gateway.prices import agreement, choice
from services.gateway.prices.agreement import NEAR, compared
from services.gateway.prices.intervals import Interval
from services.gateway.prices.moments import Found, Wanted, last_known
from services.gateway.prices.schema import (
    AgreementQuery,
    SourcesAgreement,
)
from services.gateway.prices.series import WholeSeries
from services.gateway.prices.windows import Window, window_over
from services.gateway.problems import (
    ProblemError,
    field_problem,
)
from services.gateway.requests.answers import encoded
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.requests.pagination import (
    link_to_times,
    paged,
)
from services.gateway.requests.times import span

MAX_SERIES = 20
MAX_LOOKS = 20_000  # moments times series
_UTC = ZoneInfo("UTC")
router = APIRouter(
    tags=["prices"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/agreement",
    response_model=SourcesAgreement,
    responses=paged(401, 403, 404, 422, 503),
    summary="Whether sources agree on a price",
)
async def read_agreement(
    request: Request,
    _key: ApiKey,
    database: QuestionsDb,
    asked: Annotated[AgreementQuery, Query()],
) -> Response:
    """Prices that were known at the end of each interval, side by side, and how far they differ.

    A candle's close is known at its end, a price at its moment. Without `from` and `to` the newest
    `limit` moments. `Link: rel="next"` leads to the next ones.
    """
    if asked.symbol is None and asked.instrument is None:
        raise ProblemError(422, "query: give `symbol` or `instrument`")
    interval = Interval.of(asked.interval)
    start, end = span(asked.start, asked.end)
    series = await choice.found(database, asked.conditions())
    if not series:
        raise ProblemError(
            404, "there is no series of prices that matches: GET /series"
        )
    chosen, others = _of_one_currency(series)
    window = window_over(chosen, interval, _UTC, start, end)
    moments, rest = _page(asked, window)
    _refuse_much(moments, chosen)
    lookups: asyncio.Semaphore = request.app.state.lookups
    async with lookups:
        found = await last_known(
            database,
            [
                Wanted(moment, [each])
                for moment in moments
                for each in chosen
            ],
        )
        make = _Answer(asked, interval, chosen, others, moments).encoded
        content = await asyncio.to_thread(make, found)
    headers = {}
    if rest is not None:
        headers = link_to_times(request, rest.start, rest.end)
    return encoded(content, headers)


def _page(
    asked: AgreementQuery, window: Window | None
) -> tuple[list[datetime], Window | None]:
    """(the ends of this page's intervals, the rest)."""
    if window is None:
        return [], None
    page, rest = window.page(asked.limit, asked.start, asked.order)
    return page.begins()[1:], rest


def _refuse_much(
    moments: list[datetime], series: list[WholeSeries]
) -> None:
    """Raises ProblemError 422."""
    looks = len(moments) * len(series)
    if looks > MAX_LOOKS:
        raise field_problem(
            "query.limit",
            f"{len(moments)} moments of {len(series)} series are {looks:,} prices, at most"
            f" {MAX_LOOKS:,} are looked at: ask for fewer",
        )


def _of_one_currency(
    series: list[WholeSeries],
) -> tuple[list[WholeSeries], list[str | None]]:
    """(the series of the currency that most have, by the rule; the other currencies).

    Raises ProblemError 422 for more than are compared.
    """
    counts = Counter(each.currency for each in series)
    most = max(counts.values())
    currency = min(
        (each for each in counts if counts[each] == most), key=str
    )
    chosen = [each for each in series if each.currency == currency]
    chosen.sort(key=choice.rank)
    others = sorted(set(counts) - {currency}, key=str)
    if len(chosen) > MAX_SERIES:
        raise field_problem(
            "query",
            f"{len(chosen)} series have a price in {currency}, at most {MAX_SERIES} are compared:"
            " name a source or a dataset",
        )
    return chosen, others


@dataclass(frozen=True)
class _Answer:
    """What is compared, and how it is shown."""

    asked: AgreementQuery
    interval: Interval
    chosen: list[WholeSeries]
    others: list[str | None]
    moments: list[datetime]

    def encoded(self, found: list[Found | None]) -> bytes:
        """`found`: the price of each series at each moment."""
        near = min(NEAR, timedelta(seconds=self.interval.about_seconds()))
        size = len(self.chosen)
        of_moments = [
            found[first : first + size]
            for first in range(0, len(found), size)
        ]
        rows = compared(self.moments, of_moments, near)
        return msgspec.json.encode(self._body(rows, near))

    def _body(
        self, rows: list[agreement.Compared], near: timedelta
    ) -> dict[str, Any]:
        threshold = Decimal(str(self.asked.threshold_percent)) / 100
        shown = [agreement.shown(row, threshold) for row in rows]
        worst = max(rows, key=agreement.Compared.width, default=None)
        if self.asked.order == "desc":
            shown.reverse()
        return {
            "interval": self.asked.interval,
            "currency": self.chosen[0].currency,
            "other_currencies": self.others,
            "within_seconds": int(near.total_seconds()),
            "threshold_percent": self.asked.threshold_percent,
            "series": agreement.summary(self.chosen, rows, threshold),
            "compared": len(rows),
            "agreed": sum(row["agree"] for row in shown),
            "worst": worst and agreement.shown(worst, threshold),
            "moments": shown,
        }
