"""What a person sees: one line a step, with how long it took, and bars for what takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)


class Console:
    """Plain lines when the output is not a terminal."""

    def __init__(self) -> None:
        self.rich = rich.console.Console(highlight=False, soft_wrap=True)

    def print(self, text: str = "") -> None:
        self.rich.print(text, markup=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print a step, and at its end how long it took."""
        started = time.monotonic()
        self.rich.print(f"  {name} … ", end="", markup=False)
        try:
            yield
        except BaseException:
            self.rich.print("failed")
            raise
        self.rich.print(f"done ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def progress(
        self, name: str, total: int
    ) -> Iterator[Callable[[str], None]]:
        """Yields `advance(part)`."""
        if not self.rich.is_terminal:
            with self.step(f"{name} ({total})"):
                yield lambda _part: None
            return
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.rich) as bars:
            task = bars.add_task(name, total=total)
            yield lambda _part: bars.advance(task)
