"""`python -m tests.contract.mapping_golden`.

Write anew what the golden pages yield, after NORMALIZER_VERSION was raised.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from services.normalizer.mapping.registry import NORMALIZER_VERSION
from services.normalizer.unify import unify
from shared.messages.serialization import encode

FOLDER = Path(__file__).parent / "golden" / "mapping"
VERSION = FOLDER / "version.txt"


def pages() -> dict[str, bytes]:
    """Raw pages of every source by name, as they lay in the topic."""
    return {
        path.name.removesuffix(".page.json"): path.read_bytes().strip()
        for path in sorted(FOLDER.glob("*.page.json"))
    }


def yields_file(name: str) -> Path:
    return FOLDER / f"{name}.yields.json"


def yields(page: bytes) -> bytes:
    """Everything that the mapping makes of a page, a line each."""
    unified = unify(page, partition=0, offset=0, broker_ms=0)[1]
    made = [*unified.points.rows(), *unified.skipped, *unified.rejected]
    return b"".join(
        encode(msgspec.to_builtins(each)) + b"\n" for each in made
    )


if __name__ == "__main__":
    for name, page in pages().items():
        yields_file(name).write_bytes(yields(page))
    VERSION.write_text(f"{NORMALIZER_VERSION}\n")
