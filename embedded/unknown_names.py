"""Names in `.env` that nothing reads: misspelt ones would be ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from shared.names import meant

_ASSIGNED = re.compile(
    r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*="
)
_IN_COMPOSE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)")
_OF_COMPOSE = "COMPOSE_"


def unknown_names(root: Path, known: set[str]) -> Iterator[str]:
    """A sentence for each name in `.env` that neither a setting nor compose has."""
    known = known | _names_in_compose(root)
    for name in _names_in(root / ".env"):
        if name.upper() not in known and not name.startswith(_OF_COMPOSE):
            yield f".env: {name} is no setting{meant(name, known)}"


def _names_in(path: Path) -> Iterator[str]:
    if not path.is_file():
        return
    for line in path.read_text("utf-8", "replace").splitlines():
        found = _ASSIGNED.match(line)
        if found is not None:
            yield found["name"]


def _names_in_compose(root: Path) -> set[str]:
    return {
        found["name"]
        for path in root.glob("docker-compose*.yml")
        for found in _IN_COMPOSE.finditer(path.read_text("utf-8"))
    }
