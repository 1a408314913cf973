"""Make the virtual environment. Standard library only: it runs before anything is installed.

Run by `make` with the Python that `PYTHON` names. Says in one line what is missing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UV = "uv==0.13.9"


def fail(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)


def run(what: str, *command: str) -> None:
    """Run a step quietly; on failure show the end of what it said."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    if done.returncode:
        sys.stderr.write("\n".join(done.stdout.strip().splitlines()[-12:]) + "\n")
        fail(f"{what} failed (see above)")


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  the check is for people who call it with an older one
        fail(f"Python {sys.version.split()[0]} is too old, 3.11 or newer is needed: set PYTHON, for example make PYTHON=python3.12 up")
    python = VENV / "bin" / "python"
    if not python.exists() or not (VENV / "bin" / "pip").exists():
        print("making the virtual environment .venv …", flush=True)
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            fail("this Python has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv) or set PYTHON to another")
        run("python -m venv", sys.executable, "-m", "venv", "--clear", str(VENV))
    if not (VENV / "bin" / "uv").exists():
        run("installing uv", str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    print("installing the locked dependencies …", flush=True)
    uv = (str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(python))
    run("installing requirements.lock", *uv, "--require-hashes", "-r", "requirements.lock")
    run("installing this project", *uv, "--no-deps", "--no-build-isolation", "-e", ".")
    (VENV / ".installed").touch()


if __name__ == "__main__":
    main()
