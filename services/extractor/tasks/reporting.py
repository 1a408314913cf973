"""What tasks report: their fields in every event."""

from __future__ import annotations

from typing import Any

from shared.messages.tasks import Task


def named(task: Task) -> dict[str, Any]:
    """What every event of a task says about it."""
    return {"run_id": task.run_id, "task_id": task.task_id, "source": task.source, "stream": task.stream}
