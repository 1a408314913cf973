"""The broker's clock, which tests set forward and back while it runs."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("faketime.c")


class BrokerClock:
    """A clock that is off by some seconds; it stays right where no C compiler is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._file.write_bytes(struct.pack("l", 0))
        self._library = folder / "faketime.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.can_be_set = compiler is not None and self._compile(compiler)

    def _compile(self, compiler: str) -> bool:
        command = [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            "-o",
            self._library,
        ]
        done = subprocess.run(
            [*command, SOURCE, "-ldl"], capture_output=True, check=False
        )
        return done.returncode == 0

    def environment(self) -> dict[str, str]:
        """Of the broker's process."""
        if not self.can_be_set:
            return {}
        return {
            "LD_PRELOAD": str(self._library),
            "FAKE_CLOCK": str(self._file),
        }

    def set(self, seconds: int) -> None:
        """By how much it is ahead from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("l", seconds))
