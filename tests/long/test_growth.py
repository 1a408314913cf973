"""`make bench-growth` goes through, with every figure that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from embedded.settings import ROOT
from tests.support.stack import untraced

ROWS = 150_000


def test_every_figure_is_measured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.growth"],
        cwd=ROOT,
        env={
            **untraced(),
            "ROWS": str(ROWS),
            "GROWTH_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["records"] == ROWS
    folder = tmp_path / f"growth-{ROWS}"
    assert (folder / "growth.png").stat().st_size
    marks = json.loads((folder / "progress.json").read_text())["marks"]
    first, last_mark = (mark["records"] for mark in marks)
    assert 50_000 <= first < 60_000
    assert last_mark == ROWS
    for mark in marks:
        assert all(figure > 0 for figure in mark["candle"].values())
        assert len(mark["reads"]) == 4
    kinds = {"ticker", "news", "revision", "replay"}
    assert marks[-1]["others"].keys() == kinds
    assert not (folder / "stack").exists()
