"""Offsets of tasks are committed in order."""

from __future__ import annotations

import uuid

from services.extractor.task_worker import OffsetTracker

RUN = str(uuid.uuid4())


def test_offsets_are_committed_up_to_the_first_that_is_still_at_work() -> (
    None
):
    tracker = OffsetTracker()
    for offset in (5, 6, 8):
        tracker.begin(offset)
    assert [tracker.finish(6), tracker.finish(5), tracker.finish(8)] == [
        None,
        7,
        9,
    ]
