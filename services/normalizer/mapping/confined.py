"""Mapping of what holds markup, in a confined child process. Candles never cross into it."""

from __future__ import annotations

from collections.abc import Iterator

from services.normalizer.mapping.base import Outcome
from services.normalizer.mapping.page import opened, outcomes
from shared.errors import TaskError
from shared.messages.base import MAX_PAGE_BYTES
from shared.messages.pages import RawPage, Rejection
from shared.runtime.confined import MEGABYTE, Confined, Limits, Meter

# An ordinary entry takes 3 ms and 2 MB in all.
LIMITS = Limits(cpu_s=2.0, cpu_s_per_mb=20.0, memory=48 * MEGABYTE)
MAX_FAILED = (
    3  # records of a page that are given up, before the rest of it is
)
_ABOUT_A_RECORD = MAX_PAGE_BYTES // 100


class ConfinedMapping:
    """The child in which entries become data points."""

    def __init__(self) -> None:
        self._confined = Confined([outcomes.__module__, __name__])

    def outcomes(self, page: RawPage, count: int) -> Iterator[Outcome]:
        """As `page.outcomes`. A record that takes too much is rejected. Blocks."""
        done = 0
        failed = 0
        while done < count and failed < MAX_FAILED:
            message = "not tried, after others of its page took too much"
            try:
                for outcome in self._confined.run(
                    page.stream, LIMITS, outcomes_from, page, done
                ):
                    done += 1
                    yield outcome
            except TaskError as error:
                failed += 1
                done += 1
                message = error.message
                yield _given_up(message)
        for _ in range(count - done):
            yield _given_up(message)

    def close(self) -> None:
        self._confined.close()


def outcomes_from(
    meter: Meter, page: RawPage, first: int
) -> Iterator[Outcome]:
    """The outcomes of a page's records from one on."""
    records, _, map_record = opened(page)
    for outcome in outcomes(records, map_record, first):
        meter(_ABOUT_A_RECORD)
        yield outcome


def _given_up(message: str) -> Rejection:
    return Rejection(reason="limit_exceeded", message=message)
