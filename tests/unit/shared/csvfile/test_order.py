"""Whether it is certain that no two rows of a file are of one time."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.csvfile import folder, overrides
from shared.csvfile.column_stats import Order
from shared.csvfile.profile import profile


@pytest.mark.parametrize(
    ("blocks", "is_strict"),
    [
        ([["a", "b"], ["c"]], True),
        ([["c", "b"], ["a"]], True),
        ([["a"], ["b", "c"]], True),
        ([["a", "b"], ["b"]], False),
        ([["a", "b", "a"]], False),
        ([["b"], ["a"], ["c"]], False),
        ([["a"]], False),
        ([["a" * 27, "b"]], False),
    ],
)
def test_cells_are_in_order_over_blocks(
    blocks: list[list[str]], is_strict: bool
) -> None:
    order = Order()
    for block in blocks:
        order.add(block)
    assert order.is_strict is is_strict


def are_unique(
    root: Path, head: str, *rows: str, given: str = ""
) -> bool:
    path = root / "a" / "btc-usd.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([head, *rows, ""]))
    (root / "mapping.yaml").write_text(given or "files: []\n")
    found = profile(
        folder.find(root, "a/btc-usd.csv"),
        overrides.load(root).overrides_for("a/btc-usd.csv"),
    )
    assert found is not None
    assert found.schema is not None
    return found.are_unique()


def test_only_what_is_certain_counts(tmp_path: Path) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 29)]
    rising = [f"{day},{n}.5" for n, day in enumerate(days, 1)]
    assert are_unique(tmp_path, "Date,Close", *rising)
    assert are_unique(tmp_path, "Date,Close", *rising[::-1])
    assert not are_unique(tmp_path, "Date,Close", *rising, rising[-1])
    assert not are_unique(tmp_path, "Date,Close", *rising[1:], rising[0])
    # An hour that a zone has twice, one that it has not.
    zone = "files:\n  - file: '*'\n    timezone: Europe/Berlin\n"
    assert not are_unique(tmp_path, "Date,Close", *rising, given=zone)
    # Of nanoseconds several are one microsecond.
    ns = [
        f"{(1_704_067_200 + n * 86_400) * 10**9},1.{n}"
        for n in range(10, 40)
    ]
    assert not are_unique(tmp_path, "timestamp,price", *ns)
    ms = [each.replace("000000000,", "000,") for each in ns]
    assert are_unique(tmp_path, "timestamp,price", *ms)
