"""Structural rules: who may import whom, and that each service installs and imports alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import shared
from embedded.settings import ROOT

SERVICES = ("extractor", "normalizer", "loader", "gateway", "notifier")
# Libraries that belong to one service.
OWNERS = {
    "faust": "services/normalizer",
    "fastapi": "services/gateway",
    "uvicorn": "services/gateway",
    "asyncpg": ("services/gateway", "services/extractor/archive.py"),
    "feedparser": "services/extractor",
    "stamina": "services/extractor",
    "alembic": "services/loader",
    "psycopg2": ("services/loader", "embedded"),
    "httpx": (
        "services/extractor",
        "services/notifier",
        "shared/http",
        "shared/csvfile/places",  # that no folder needs
        "embedded",
    ),
    "obstore": ("shared/csvfile/places", "services/gateway/uploads"),
}


def sources(*folders: str) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize(
    "path",
    sources("services", "shared"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_service_imports_shared_and_no_other_service(
    path: Path,
) -> None:
    relative = path.relative_to(ROOT)
    mine = (
        f"services.{relative.parts[1]}"
        if relative.parts[0] == "services" and len(relative.parts) > 2
        else None
    )
    foreign = {
        name
        for name in imported(path)
        if name.startswith(("services.", "embedded", "tests"))
        and not (mine and (name == mine or name.startswith(mine + ".")))
    }
    assert not foreign


@pytest.mark.parametrize(
    "path",
    sources("services", "shared", "embedded"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_library_stays_in_the_service_that_owns_it(path: Path) -> None:
    for name in {
        name.partition(".")[0] for name in imported(path)
    } & OWNERS.keys():
        assert str(path.relative_to(ROOT)).startswith(OWNERS[name])


def test_the_mapping_knows_neither_kafka_nor_faust() -> None:
    names = {
        name.partition(".")[0]
        for path in sources(
            "services/normalizer/mapping", "services/normalizer/sentiment"
        )
        for name in imported(path)
    }
    assert not names & {"faust", "aiokafka", "asyncio", "mode"}


def test_shared_is_this_projects_own() -> None:
    assert Path(shared.__file__).is_relative_to(ROOT)


def test_nothing_connects_at_import() -> None:
    modules = ", ".join(f"services.{name}.app" for name in SERVICES)
    block = (
        "import socket; socket.socket.connect = socket.socket.bind = lambda *a: (_ for _ in"
        " ()).throw(SystemExit('connected'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{block}\nimport {modules}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_installs_and_imports_alone(
    tmp_path: Path, service: str
) -> None:
    """As its image does: `pip install ".[service]"`, `shared` and its own folder only."""
    uv = Path(sys.executable).with_name("uv")
    for folder in ("shared", f"services/{service}"):
        (tmp_path / folder).parent.mkdir(exist_ok=True)
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "services" / "__init__.py").touch()
    wanted = subprocess.run(
        [
            uv,
            "pip",
            "compile",
            "-q",
            "--extra",
            service,
            "-c",
            "requirements.lock",
            "--no-header",
            "--no-annotate",
            "pyproject.toml",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (tmp_path / "wanted.txt").write_text(wanted)
    subprocess.run(
        [uv, "venv", "-q", "--python", sys.executable, tmp_path / "venv"],
        check=True,
    )
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "-q",
            "--python",
            python,
            "-r",
            tmp_path / "wanted.txt",
        ],
        check=True,
    )
    done = subprocess.run(
        [python, "-c", f"import services.{service}.__main__"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
