"""`make measure`: how dense the code is, beside the targets. Reads the tree and the history only.

Code lines: lines that hold a token other than comments, docstrings and blank space. Nodes: those of
the syntax tree without contexts (Load, Store, Del). A body is a function's statements without its
docstring. Rooms: modules of a folder besides `__init__`.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("services", "shared", "embedded")
TESTS = ("tests", "bench", "eval", "tools")
MAX_WIDTH = 100
MAX_SUBJECT = 72
# Release 0.1.0: subjects count from the commit after it.
RELEASE = "27462efbcbb7e9cc90d663f579851bb0467593d4"
FMT_SKIP = "# fmt: " + "skip"
CONTEXTS = (ast.Load, ast.Store, ast.Del)
COMPREHENSIONS = (
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (*FUNCTIONS, ast.ClassDef, ast.Module)
NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
)


@dataclass
class Counts:
    """What is counted over all files."""

    code_lines: int = 0
    nodes: int = 0
    nested_conditionals: int = 0
    conditionals: int = 0
    comprehensions: int = 0
    wide_docstrings: int = 0
    widths: list[int] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """One line of the table. `target`: the most that it may be."""

    name: str
    value: float
    target: float

    @property
    def is_met(self) -> bool:
        return self.value <= self.target


def measure(root: Path) -> list[Figure]:
    """The figures of the project below a folder."""
    counts = Counts()
    for path in sources(root, FOLDERS):
        add(counts, path.read_text(encoding="utf-8"))
    per_1000 = 1000 / counts.code_lines
    wide = sum(width > MAX_WIDTH for width in counts.widths)
    return [
        Figure("line width p90", quantile(counts.widths, 0.9), 92),
        Figure("lines > 100", wide, 0),
        Figure("fmt: skip, production", skips(root, FOLDERS), 0),
        Figure("fmt: skip, tests", skips(root, TESTS), 0),
        Figure(
            "nodes a code line",
            round(counts.nodes / counts.code_lines, 2),
            4.6,
        ),
        Figure(
            "nodes of a body, median", quantile(counts.bodies, 0.5), 28
        ),
        Figure("nodes of a body, p90", quantile(counts.bodies, 0.9), 100),
        Figure("nested conditionals", counts.nested_conditionals, 0),
        Figure(
            "conditionals per 1,000",
            round(counts.conditionals * per_1000, 1),
            14,
        ),
        Figure(
            "comprehensions per 1,000",
            round(counts.comprehensions * per_1000, 1),
            22,
        ),
        Figure("docstrings > 100", counts.wide_docstrings, 0),
        Figure("rooms in a folder, most", max(rooms(root)), 12),
        Figure(
            "commit subject p90",
            quantile(subjects(root), 0.9),
            MAX_SUBJECT,
        ),
    ]


def sources(root: Path, folders: Sequence[str]) -> Iterator[Path]:
    """Python files, without those of the migrations, which are history."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            if (
                "migrations" not in path.parts
                and "__pycache__" not in path.parts
            ):
                yield path


def add(counts: Counts, text: str) -> None:
    """Add a file."""
    if not text.strip():
        return
    tree = ast.parse(text)
    counts.widths += [
        len(line) for line in text.splitlines() if line.strip()
    ]
    counts.code_lines += code_lines(text, tree)
    counts.nodes += nodes(tree)
    for node in ast.walk(tree):
        counts.conditionals += isinstance(node, ast.IfExp)
        counts.nested_conditionals += is_nested_conditional(node)
        counts.comprehensions += isinstance(node, COMPREHENSIONS)
        counts.wide_docstrings += has_wide_docstring(node)
        if isinstance(node, FUNCTIONS):
            counts.bodies.append(
                sum(map(nodes, without_docstring(node.body)))
            )


def nodes(tree: ast.AST) -> int:
    return sum(not isinstance(node, CONTEXTS) for node in ast.walk(tree))


def code_lines(text: str, tree: ast.AST) -> int:
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and is_docstring(body[0]):
            docstrings.update(
                range(body[0].lineno, body[0].end_lineno + 1)
            )
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def is_docstring(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(
        node.value, ast.Constant
    ):
        return False
    return isinstance(node.value.value, str)


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return body[1:] if is_docstring(body[0]) else body


def is_nested_conditional(node: ast.AST) -> bool:
    """Whether a conditional expression holds another."""
    if not isinstance(node, ast.IfExp):
        return False
    return sum(isinstance(part, ast.IfExp) for part in ast.walk(node)) > 1


def has_wide_docstring(node: ast.AST) -> bool:
    if not isinstance(node, DOCUMENTED):
        return False
    text = ast.get_docstring(node, clean=False) or ""
    return any(len(line) > MAX_WIDTH for line in text.splitlines())


def skips(root: Path, folders: Sequence[str]) -> int:
    return sum(
        path.read_text().count(FMT_SKIP)
        for path in sources(root, folders)
    )


def rooms(root: Path) -> Iterator[int]:
    for folder in {path.parent for path in sources(root, FOLDERS)}:
        yield sum(path.stem != "__init__" for path in folder.glob("*.py"))


def subjects(root: Path) -> list[int]:
    """Lengths of the subjects of commits since the release; none outside of a repository."""
    command = ["git", "log", "--format=%s", f"{RELEASE}..HEAD"]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    return [len(line) for line in done.stdout.splitlines()]


def quantile(values: Sequence[int], share: float) -> int:
    if not values:
        return 0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> int:
    """0 when every target is met."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    figures = measure(root)
    for figure in figures:
        mark = "" if figure.is_met else "   missed"
        print(
            f"{figure.name:<26} {figure.value:>7g}   at most {figure.target:g}{mark}"
        )
    return int(not all(figure.is_met for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main())
