"""Kafka's jars: fetched once for all stacks of a user, and only as the lock says."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedded.errors import StackError

LOCK = Path(__file__).with_name("kafka-jars.lock")
DOWNLOADS = 8  # at a time
ATTEMPTS = 3


def folder() -> Path:
    """Shared by all stacks of this user.

    Named after the lock, so that a new lock means a new folder.
    """
    cache = Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    )
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return cache / "crypto-ingest" / f"kafka-{digest[:12]}"


def locked() -> dict[str, str]:
    """Maven coordinate → SHA-256."""
    jars = {}
    for line in LOCK.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinate, digest = line.split()[:2]
            jars[coordinate] = digest
    return jars


def name_of(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def missing() -> list[str]:
    present = {path.name for path in folder().glob("*.jar")}
    return [
        coordinate
        for coordinate in locked()
        if name_of(coordinate) not in present
    ]


def drop_altered() -> list[str]:
    """Delete jars that are not what the lock says; returns their names."""
    digests = {name_of(each): sha for each, sha in locked().items()}
    altered = []
    for path in sorted(folder().glob("*.jar")):
        if _sha256(path) != digests.get(path.name):
            path.unlink()
            altered.append(path.name)
    return altered


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(advance: Callable[[str], None]) -> None:
    """Download what is missing and keep only what matches the lock.

    Calls `advance(name)` for each jar. Raises StackError.
    """
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    digests = locked()
    with (
        tempfile.TemporaryDirectory(dir=target) as scratch,
        ThreadPoolExecutor(DOWNLOADS) as pool,
    ):
        jobs = {
            coordinate: pool.submit(
                _fetch, coordinate, digests[coordinate], Path(scratch)
            )
            for coordinate in missing()
        }
        try:
            for coordinate, job in jobs.items():
                job.result()
                advance(name_of(coordinate))
        except BaseException:
            pool.shutdown(cancel_futures=True, wait=False)
            raise


def _fetch(coordinate: str, digest: str, scratch: Path) -> None:
    logging.getLogger("jgo").setLevel(logging.ERROR)
    group, artifact, version = coordinate.split(":")
    error = ""
    for _ in range(ATTEMPTS):
        shutil.rmtree(
            scratch / group.replace(".", "/") / artifact / version,
            ignore_errors=True,
        )
        try:
            path = _download(group, artifact, version, scratch)
        except Exception as failure:  # noqa: BLE001  jgo lets any through; their texts name hosts
            kind = type(failure).__name__
            error = f"cannot be downloaded from Maven Central ({kind}): is there a network?"
            continue
        if _sha256(path) == digest:
            path.replace(folder() / name_of(coordinate))
            return
        error = "does not match its checksum in embedded/servers/kafka-jars.lock"
    raise StackError(f"Kafka's jar {artifact} {version} {error}")


def _download(
    group: str, artifact: str, version: str, scratch: Path
) -> Path:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch, timeout=60)
    path: Path = (
        context.project(group, artifact)
        .at_version(version)
        .artifact()
        .resolve()
    )
    return path


def classpath() -> str:
    return ":".join(str(folder() / name_of(each)) for each in locked())
