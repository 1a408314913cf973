"""What may be committed while several messages of a partition are at work."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class OffsetTracker:
    """Offsets in flight on one partition; what may be committed is the finished beginning."""

    pending: dict[int, bool] = field(
        default_factory=dict
    )  # offset → finished, as they arrived

    def begin(self, offset: int) -> None:
        self.pending[offset] = False

    def finish(self, offset: int) -> int | None:
        """The offset to commit now (next to read), or None while an earlier one is at work."""
        self.pending[offset] = True
        commit = None
        for earliest, is_finished in list(self.pending.items()):
            if not is_finished:
                break
            del self.pending[earliest]
            commit = earliest + 1
        return commit
