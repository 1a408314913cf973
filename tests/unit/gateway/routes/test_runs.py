"""What is answered about a run while the database goes away."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.queries import runs as queries
from services.gateway.routes.runs import read_run

RUN = "0b9d4c1e-8f5a-4b0e-9d51-6a9a4f6f0a11"


class Bus:
    """A command log that knows one run."""

    async def find(self, run_id: str) -> Any:
        return object() if run_id == RUN else None


async def test_the_latest_run_is_not_made_up_when_the_database_goes_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(_database: Any, _name: str) -> str:
        return RUN

    async def unavailable(_database: Any, _run_id: str) -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(queries, "resolve", resolve)
    monkeypatch.setattr(queries, "with_tasks", unavailable)
    bus: Any = Bus()
    with pytest.raises(ConnectionResetError):
        await read_run("key", None, bus, "latest")  # type: ignore[arg-type]
