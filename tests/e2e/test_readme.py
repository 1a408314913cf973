"""The README's program does what the README says."""

from __future__ import annotations

import re
import subprocess
import sys

from embedded.settings import ROOT
from tests.support.product import KEY
from tests.support.stack import Stack

BTC = "date,open,high,low,close\n2098-01-01,1,2,0.5,1.5\n"


def test_the_ten_lines_of_python_print_data_points(stack: Stack) -> None:
    folder = stack.csv_dir / "readme"
    folder.mkdir()
    (folder / "btc-usd.csv").write_text(BTC)
    text = (ROOT / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    address = f"localhost:{stack.settings.api_port}"
    program = program.replace("localhost:8000", address)
    program = program.replace("test-api-key", KEY)

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    state, *points = done.stdout.splitlines()
    assert re.fullmatch(r"(succeeded|partial) \d+ items", state), state
    assert any("2098-01-01T00:00:00" in point for point in points)
