"""The documents are true: what they name exists, and what exists is in their lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from embedded.settings import ROOT, StackSettings
from services.extractor.settings import ExtractorSettings
from services.gateway.settings import GatewaySettings
from services.loader.settings import LoaderSettings
from services.normalizer.settings import NormalizerSettings
from services.notifier.settings import NotifierSettings

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SETTINGS = (
    StackSettings,
    ExtractorSettings,
    NormalizerSettings,
    NotifierSettings,
    LoaderSettings,
    GatewaySettings,
)
PLACEHOLDERS = {
    "services/X",
    "services/extractor/sources/NAME.py",
    "services/normalizer/mapping/NAME.py",
    "bench/results",  # made by the first run
}
# Where an error class, or a keyword of a call, holds the stable word.
CODE_AT = {
    "TaskError": 0,
    "RetryableError": 0,
    "BadValueError": 1,
    "UnmappableError": 0,
    "task_error": 1,
    "_reject": 1,
    "_all_rejected": 1,
    "refusal": 0,
}
CODE_KEYWORDS = {
    "Rejection": "reason",
    "Skip": "reason",
    "RunError": "code",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def definitions(path: Path) -> set[str]:
    """Names of functions, classes and methods (`Class.method`) of a module."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{each.name}"
                for each in node.body
                if hasattr(each, "name")
            }
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_function_that_a_document_names_exists(
    document: Path,
) -> None:
    for file, name in re.findall(
        r"`([\w/]+\.py):([\w.]+)`", document.read_text()
    ):
        assert (ROOT / file).is_file(), file
        assert name in definitions(ROOT / file), f"{file}:{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    named = re.findall(
        r"`((?:services|shared|embedded|tests|bench|docs)/[\w./-]+)`",
        text,
    )
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    missing = [
        path
        for path in named
        if path not in PLACEHOLDERS and not (ROOT / path).exists()
    ]
    missing += [
        path for path in linked if not (document.parent / path).exists()
    ]
    assert not missing


def table_words(document: str) -> set[str]:
    """The first cells of the tables of a document, as far as they are in backquotes."""
    return set(
        re.findall(
            r"^\| `([^`]+)` \|",
            (ROOT / document).read_text(),
            re.MULTILINE,
        )
    )


def is_shown(default: object, shown: str) -> bool:
    """Whether a cell of the table shows a setting's default. Lists and empty ones are described."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, bool):
        return shown == str(default).lower()
    if isinstance(default, int | float):
        return float(shown) == float(default)
    if isinstance(default, str | Path):
        return str(default) in shown
    return True


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    rows = dict(
        re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", text, re.MULTILINE)
    )
    fields = {
        name.upper(): field
        for settings in SETTINGS
        for name, field in settings.model_fields.items()
    }
    of_compose = {"API_BIND", "CSV_URL", "GRAFANA_PASSWORD"}
    assert rows.keys() - fields.keys() == of_compose
    for name, field in fields.items():
        assert is_shown(field.default, rows.get(name, "")), (
            f"{name}: {rows.get(name)}"
        )
        assert name in rows


def literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def codes_in_the_source() -> Iterator[str]:
    for folder in ("services", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if not isinstance(call, ast.Call):
                    continue
                name = getattr(
                    call.func, "id", getattr(call.func, "attr", "")
                )
                place = CODE_AT.get(name)
                if place is not None and len(call.args) > place:
                    yield from literals(call.args[place])
                for keyword in call.keywords:
                    if keyword.arg == CODE_KEYWORDS.get(name):
                        yield from literals(keyword.value)


def test_every_error_code_is_documented() -> None:
    codes = set(codes_in_the_source())
    documented = table_words("docs/errors.md")
    assert len(codes) > 50
    assert not codes - documented
    # Some codes stand in tables of the source: what is documented is at least a text there.
    texts = {
        node.value
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
    }
    assert not documented - texts


def test_no_line_of_prose_is_wider_than_100_characters() -> None:
    wide = [
        f"{relative(document)}:{number}"
        for document in DOCUMENTS
        for number, line in enumerate(
            document.read_text().splitlines(), 1
        )
        if len(line) > 100 and not line.startswith("|")
    ]
    assert not wide
