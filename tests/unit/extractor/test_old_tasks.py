"""A fetch that comes again long after its task has ended is not done again."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from services.extractor.task_worker import TaskWorker
from shared.errors import TransientError
from shared.messages.tasks import FetchStream, RepairPages

RUN = "3b241101-e2bb-4255-8caf-4136c566a962"
FETCH = FetchStream(run_id=RUN, task_id=RUN, source="rss", stream="rss/x")
REPAIR = RepairPages(
    run_id=RUN,
    task_id=RUN,
    source="rss",
    stream="rss/x",
    since_ms=0,
    missing=[],
)


def record(age_s: float) -> Any:
    return SimpleNamespace(timestamp=(time.time() - age_s) * 1000)


def worker(answer: bool | Exception) -> Any:
    async def is_finished(_task_id: str) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = TaskWorker.__new__(TaskWorker)
    found._is_finished = is_finished
    return found


@pytest.mark.parametrize(
    ("task", "age_s", "answer", "expected"),
    [
        (FETCH, 3600, True, True),
        (FETCH, 3600, False, False),
        (FETCH, 1, True, False),
        (REPAIR, 3600, True, False),
        (FETCH, 3600, TransientError("away"), False),
    ],
)
async def test_only_what_the_tables_know_to_have_ended_is_left(
    task: Any, age_s: float, answer: bool | Exception, expected: bool
) -> None:
    found = worker(answer)._is_of_long_ago(task, record(age_s))
    assert await found is expected
