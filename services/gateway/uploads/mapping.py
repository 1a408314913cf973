"""Entries that are added to `mapping.yaml`; its own lines and comments stay as they are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from services.gateway.problems import ProblemError, field_problem
from services.gateway.uploads.store import (
    FILE_MODE,
    hidden_folder,
    locked,
)
from shared.csvfile import overrides
from shared.csvfile.folder import Root
from shared.csvfile.overrides import MAX_BYTES, NAME, Overrides
from shared.errors import TaskError

_LIST = re.compile(
    r"^files:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( *)- ", re.MULTILINE
)


def append(root: Root, entry: Overrides) -> str:
    """The lines that were added. Raises ProblemError 409, 413, 422, 503."""
    if "file" not in entry.model_fields_set:
        raise field_problem("body.file", "say which file it is for")
    if not isinstance(root, Path):
        return _appended(root, entry, partial(_replace_object, root))
    try:
        with hidden_folder(root) as at, locked(at):
            return _appended(root, entry, partial(_replace, root, at))
    except OSError as error:
        raise ProblemError(
            503, f"{NAME} cannot be written: {error.strerror}"
        ) from error


def _appended(
    root: Root, entry: Overrides, replace: Callable[[str, str], None]
) -> str:
    """`replace`: puts a new text in the place of the one before."""
    try:
        text = overrides.text_of(root)
        before = overrides.parsed(text)
    except TaskError as error:
        raise ProblemError(422, error.message) from error
    new, lines = _with(text, entry)
    if len(new.encode()) > MAX_BYTES:
        raise ProblemError(
            413, f"{NAME} would have more than {MAX_BYTES:,} bytes"
        )
    if _entries(new) != [*before.files, entry]:
        raise ProblemError(
            409,
            f"{NAME} is written in a way that nothing can be added to: add these lines"
            f" yourself:\n{lines}",
        )
    replace(text, new)
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


def _replace(root: Path, at: int, _before: str, text: str) -> None:
    """Raises OSError."""
    path = root / NAME
    if path.is_symlink():
        raise ProblemError(
            409, f"{NAME} is a link: edit what it leads to"
        )
    mode = path.stat().st_mode & 0o777 if path.exists() else FILE_MODE
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    handle = os.open(NAME, flags, mode, dir_fd=at)
    with open(handle, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123  of a handle
        os.fchmod(handle, mode)
        file.write(text)
        file.flush()
        os.fsync(handle)
    os.replace(NAME, path, src_dir_fd=at)


def _replace_object(root: Any, before: str, text: str) -> None:
    from services.gateway.uploads.objects import replace_mapping

    replace_mapping(root, before, text)
