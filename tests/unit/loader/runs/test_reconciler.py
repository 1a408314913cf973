"""Evaluating runs while PostgreSQL is unavailable."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.loader.runs.reconciler import RunReconciler
from services.loader.settings import LoaderSettings


class Unavailable:
    """An engine whose server is gone."""

    def begin(self) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("gone"))


def test_a_sweep_that_failed_is_due_again_so_that_the_loader_is_not_ready() -> (
    None
):
    engine: Any = Unavailable()
    nothing: Any = None
    settings = LoaderSettings(_env_file=None)
    reconciler = RunReconciler(
        engine, nothing, nothing, settings, nothing
    )
    for _ in range(3):
        with pytest.raises(OperationalError):
            reconciler.evaluate(is_idle=True)
