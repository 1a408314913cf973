"""An object storage on loopback: moto's server, in an environment of its own.

What it needs is not among the project's packages: it wants older versions of some.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import obstore

from shared.csvfile.places.bucket import Bucket, Login
from tests.support.ports import free_ports
from tests.support.product import until

MOTO = "moto[server]==5.2.5"
NAME = "prices"
KEY_ID, SECRET, REGION = "key", "secret", "us-east-1"


class Storage:
    """Its address, and what says where to find it."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.api = httpx.Client(base_url=self.endpoint, trust_env=False)

    def bucket(self, prefix: str) -> Bucket:
        login = Login(KEY_ID, SECRET, "", REGION, self.endpoint)
        return Bucket(f"s3://{NAME}/{prefix}", login)

    def settings(self, prefix: str) -> dict[str, str]:
        return {
            "CSV_DIR": f"s3://{NAME}/{prefix}",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
        }


def put(bucket: Bucket, path: str, content: bytes) -> None:
    obstore.put(bucket.store, path, content)


def paths(bucket: Bucket) -> list[str]:
    """Of all objects, hidden ones too."""
    return sorted(
        each["path"]
        for page in obstore.list(bucket.store)
        for each in page
    )


def content(bucket: Bucket, path: str) -> bytes:
    return bytes(obstore.get(bucket.store, path).bytes())


@contextlib.contextmanager
def object_storage() -> Iterator[Storage]:
    """With one bucket, `prices`."""
    (port,) = free_ports(1)
    uv = str(Path(sys.executable).with_name("uv"))
    server = subprocess.Popen(
        [
            uv,
            "tool",
            "run",
            "--from",
            MOTO,
            "moto_server",
            "-p",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    storage = Storage(port)

    def is_made() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return storage.api.put(f"/{NAME}").status_code == 200
        return False

    try:
        until("the object storage", is_made, 120)
        yield storage
    finally:
        server.terminate()
        server.wait()
        storage.api.close()
