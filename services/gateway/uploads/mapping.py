"""Entries that are added to `mapping.yaml`; its own lines and comments stay as they are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from services.gateway.problems import ProblemError
from services.gateway.uploads.store import HIDDEN
from shared.csvfile import overrides
from shared.csvfile.overrides import NAME, Overrides
from shared.errors import TaskError

_LIST = re.compile(
    r"^files:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( *)- ", re.MULTILINE
)


def append(root: Path, entry: Overrides) -> str:
    """The lines that were added. Raises ProblemError 409, 422."""
    try:
        text = overrides.text_of(root)
        before = overrides.parsed(text)
    except TaskError as error:
        raise ProblemError(422, error.message) from error
    new, lines = _with(text, entry)
    if _entries(new) != [*before.files, entry]:
        raise ProblemError(
            409,
            f"{NAME} is written in a way that nothing can be added to: add these lines"
            f" yourself:\n{lines}",
        )
    _replace(root, new)
    return lines


def _entries(text: str) -> list[Overrides] | None:
    try:
        return overrides.parsed(text).files
    except TaskError:
        return None


def _with(text: str, entry: Overrides) -> tuple[str, str]:
    """The whole text with the entry, and the entry's lines."""
    given = entry.model_dump(exclude_unset=True)
    dumped = yaml.safe_dump([given], sort_keys=False, allow_unicode=True)
    found = _LIST.search(text)
    indent = found[1] if found else "  "
    lines = "".join(f"{indent}{line}\n" for line in dumped.splitlines())
    if text and not text.endswith("\n"):
        text += "\n"
    head = "" if found else "files:\n"
    return f"{text}{head}{lines}", lines


def _replace(root: Path, text: str) -> None:
    path = root / NAME
    if path.is_symlink():
        raise ProblemError(
            409, f"{NAME} is a link: edit what it leads to"
        )
    new = root / HIDDEN / f"{NAME}.new"
    try:
        new.parent.mkdir(exist_ok=True)
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise ProblemError(
            503, f"{NAME} cannot be written: {error.strerror}"
        ) from error
