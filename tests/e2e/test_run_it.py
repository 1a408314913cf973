"""Every command of docs/run-it.md, in its order, on a stack of its own."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from embedded.settings import ROOT
from tests.simulator import Simulator
from tests.support.ports import free_ports
from tests.support.product import KEY, until
from tests.support.stack import Stack

TEXT = (ROOT / "docs" / "run-it.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
(CADDYFILE,) = re.findall(
    r"```\n(api\.example\.org .*?)```", TEXT, re.DOTALL
)


@pytest.fixture(scope="module")
def stack(
    own_upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("run-it")
    (root / "csv").mkdir()
    stack = Stack(
        root / "state",
        root / "csv",
        **own_upstream.settings("news"),
        COIN_IDS='["btc-bitcoin"]',
        PARTITIONS="6",  # as releases before have them, to go back to
    )
    yield stack
    stack.api.close()
    stack.command("down")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


def points_of(stack: Stack) -> int:
    ((count,),) = stack.query("SELECT count(*) FROM points")
    return int(count)


def run(stack: Stack, folder: Path, block: str) -> str:
    """As a person runs it, but for the places that it writes to."""
    before = set((ROOT / "backups").glob("*"))
    script = block.replace("/backups/", f"{folder}/")
    script = script.replace("secrets.env", f"{folder}/secrets.env")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={
            **stack.environment,
            "CRYPTO_INGEST_URL": f"http://127.0.0.1:{stack.settings.api_port}",
            "CRYPTO_INGEST_KEY": KEY,
            "XDG_CONFIG_HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    for made in set((ROOT / "backups").glob("*")) - before:
        shutil.rmtree(made)
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_each_command_does_what_is_said(
    stack: Stack, folder: Path
) -> None:
    points = 0
    for block in BLOCKS:
        said = run(stack, folder, block)
        if "openssl" in block:
            lines = (folder / "secrets.env").read_text().splitlines()
            assert [len(each.partition("=")[2]) for each in lines] == [
                64,
                64,
            ]
        if "make up" in block:
            (stack.csv_dir / "btc-usd.csv").write_text(
                "date,close\n2024-01-01,5\n2024-01-02,6\n"
            )
            stack.ingest(sources=["csv"])
            points = points_of(stack)
        if "schedule set" in block:
            assert "*/20 * * * * UTC" in said
            assert "schedule/live" in said
        if "make downgrade" in block:
            assert "the tables are those of 0.2.0" in said
        if "make upgrade" in block:
            assert points_of(stack) == points > 0
            # Settings outlive what an older version does not know.
            names = [
                each["name"]
                for each in stack.api.get("/schedules").json()
            ]
            assert {"live", "news"} <= set(names)
    assert stack.command("status").returncode == 3  # all is stopped


def test_caddy_speaks_tls_before_the_api(
    stack: Stack, tmp_path: Path
) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("no caddy here")
    stack.up()
    (port,) = free_ports(1)
    text = CADDYFILE.replace("api.example.org", f"localhost:{port}")
    text = text.replace("8000", str(stack.settings.api_port))
    file = tmp_path / "Caddyfile"
    # A certificate of its own, where no authority can be asked; no other port is taken.
    file.write_text(
        "{\n  auto_https disable_redirects\n  local_certs\n  skip_install_trust\n  admin off\n}\n"
        + text
    )
    process = subprocess.Popen(
        [caddy, "run", "--config", str(file), "--adapter", "caddyfile"],
        env={
            **os.environ,
            "XDG_DATA_HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    root = tmp_path / "caddy/pki/authorities/local/root.crt"
    try:
        until("caddy's certificate", root.exists, 30)
        trusted = ssl.create_default_context(cafile=str(root))
        address = f"https://localhost:{port}/api/v1"

        def answer() -> httpx.Response | None:
            try:
                return httpx.get(
                    f"{address}/stats",
                    headers={"x-api-key": KEY},
                    verify=trusted,
                    trust_env=False,
                )
            except httpx.HTTPError:
                return None

        found = until("caddy to answer", answer, 30)
        assert found.status_code == 200
        with httpx.stream(
            "GET",
            f"{address}/events",
            headers={"x-api-key": KEY},
            verify=trusted,
            trust_env=False,
        ) as events:
            assert "heartbeat" in next(events.iter_lines())
    finally:
        process.kill()
        process.wait()
