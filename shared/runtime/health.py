"""A service's health as a small file, for the supervisor and the container's health check.

`python -m shared.runtime.health FILE` exits 0 when the file says ready and is fresh, 1 otherwise,
and prints why.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from shared.runtime import logs

STALE_AFTER_S = 20.0
DISK_FULL = "disk_full"
MIN_FREE_BYTES = 1 << 20  # below it nothing can be expected to be written


log = logs.get(__name__)


class Health:
    """Written by the service about once a second; `ready` means that it makes progress."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._state: dict[str, Any] = {
            "ready": False,
            "reason": "starting",
        }
        self.trouble = ""  # why the file could not be written last time

    @property
    def state(self) -> dict[str, Any]:
        """What was set last: `ready`, `reason` and facts such as `lag`."""
        return self._state

    def set(self, *, ready: bool, reason: str = "", **facts: Any) -> None:
        self._state = {"ready": ready, "reason": reason, **facts}
        self.beat()

    def beat(self) -> None:
        """Write the file again, atomically.

        A folder that cannot be written is no reason to end; the next beat tries again.
        """
        if self._path is None:
            return
        text = json.dumps(
            {**self._state, "pid": os.getpid(), "at": time.time()},
            default=str,
        )
        temporary = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text)
            temporary.replace(self._path)
        except OSError as error:
            self._note(error)
        else:
            self.trouble = ""

    def _note(self, error: OSError) -> None:
        """Said once until it can be written again."""
        trouble = error.strerror or repr(error)
        if error.errno == errno.ENOSPC:
            trouble = f"{DISK_FULL}: {trouble}"
        if trouble != self.trouble:
            log.warning(
                "health_file_not_written",
                path=str(self._path),
                error=trouble,
            )
        self.trouble = trouble


def read(path: Path) -> tuple[bool, str]:
    """(ready, why not). A file that is missing, stale or of a process that is gone is not ready."""
    try:
        state = json.loads(path.read_text())
        os.kill(int(state["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return False, "not running"
    if time.time() - state["at"] > STALE_AFTER_S:
        return False, _why_stale(path)
    return bool(state["ready"]), str(state.get("reason", ""))


def _why_stale(path: Path) -> str:
    if shutil.disk_usage(path.parent).free < MIN_FREE_BYTES:
        return f"{DISK_FULL}: no space is left where it reports"
    return "frozen: has not reported for a while"


def main() -> int:
    path = (
        sys.argv[1]
        if len(sys.argv) > 1
        else os.environ.get("HEALTH_FILE", "")
    )
    ready, reason = read(Path(path))
    sys.stdout.write(f"{'ready' if ready else 'not ready'} {reason}\n")
    return 0 if ready else 1


if __name__ == "__main__":
    raise SystemExit(main())
