"""Health: ready means progress, and a file that is not fresh says nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from shared import health
from shared.health import Health
from shared.progress import Progress


def test_a_group_that_has_lag_and_does_not_move_is_not_ready() -> None:
    progress = Progress(stuck_after_s=10)
    assert progress.seen({0: 5}, 0, is_working=False) == ""
    assert progress.seen({0: 5}, 9, is_working=False) == ""
    assert progress.seen({0: 7}, 12, is_working=False) == "7 messages wait and nothing has moved for 12 s"
    assert progress.seen({0: 6}, 13, is_working=False) == ""
    assert progress.seen({0: 6}, 30, is_working=True) == ""
    assert progress.seen({0: 0}, 60, is_working=False) == ""


def test_a_file_tells_what_was_set(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    Health(str(path)).set(ready=False, reason="PostgreSQL is away")
    assert health.read(path) == (False, "PostgreSQL is away")
    Health(str(path)).set(ready=True)
    assert health.read(path) == (True, "")
    Health(None).set(ready=True)


@pytest.mark.parametrize(
    "state", [{}, {"pid": 2**22 + 1, "at": time.time(), "ready": True}, {"pid": os.getpid(), "at": time.time() - 100, "ready": True}]
)
def test_a_file_of_a_process_that_is_gone_or_frozen_is_not_ready(tmp_path: Path, state: dict[str, object]) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(state))
    assert health.read(path)[0] is False
    assert health.read(tmp_path / "none.json") == (False, "not running")
