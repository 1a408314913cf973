"""Make the virtual environment. Standard library only: it runs before anything is installed.

Run by `make` with the Python that `PYTHON` names. What is missing is one line.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = "uv==0.13.9"
SHOWN_LINES = 12


def fail(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)


def run(step: str, *command: str) -> None:
    """Run a step quietly; on failure show the end of its output."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    if done.returncode:
        lines = done.stdout.strip().splitlines()
        sys.stderr.write("\n".join(lines[-SHOWN_LINES:]) + "\n")
        fail(f"{step} failed (see above)")


def check_python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  the check is for people with an older one
        version = sys.version.split()[0]
        fail(
            f"Python {version} is too old, 3.11 or newer is needed: set PYTHON, for example "
            "make PYTHON=python3.12 up"
        )


def make_venv() -> None:
    if PYTHON.exists() and (VENV / "bin" / "pip").exists():
        return
    print("making the virtual environment .venv …", flush=True)
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        fail(
            "this Python has no venv module: install it (Debian and Ubuntu: apt-get install "
            "python3-venv) or set PYTHON to another"
        )
    run(
        "python -m venv",
        sys.executable,
        "-m",
        "venv",
        "--clear",
        str(VENV),
    )


def install() -> None:
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        pip = (
            str(PYTHON),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        )
        run("installing uv", *pip, UV)
    print("installing the locked dependencies …", flush=True)
    command = (
        str(uv),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(PYTHON),
    )
    run(
        "installing requirements.lock",
        *command,
        "--require-hashes",
        "-r",
        "requirements.lock",
    )
    run(
        "installing this project and its command line",
        *command,
        "--no-deps",
        "--no-build-isolation",
        "-e",
        ".",
        "-e",
        "cli",
    )


def main() -> None:
    check_python()
    make_venv()
    install()
    (VENV / ".installed").touch()


if __name__ == "__main__":
    main()
