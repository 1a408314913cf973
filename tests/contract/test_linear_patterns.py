"""Every pattern of the project takes linear time over foreign text.

`re` keeps Python's lock while it searches: a pattern whose time grows with the square of a text
stops the whole service over one long cell. Each compiled pattern is attacked with texts that are
made from its own parts.
"""

from __future__ import annotations

import ast
import importlib
import math
import pkgutil
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import services
import shared

ROOT = Path(shared.__file__).parent.parent
METHODS = (
    "match",
    "fullmatch",
    "search",
    "finditer",
    "findall",
    "sub",
    "split",
)
# Characters of an attack.
SIZES = (
    12,
    16,
    20,
    24,
    28,
    32,
    48,
    64,
    128,
    256,
    512,
    1_024,
    2_048,
    4_096,
    8_192,
)
TINY = 128
# Linear is 4, quadratic 16.
TOO_MUCH = 9.0
ENDS = ("\0", "", "aaaa", "9")
NOISE_S = 0.004  # what is faster is not looked at
MAX_PARTS = 40
# Patterns that lie in tables, and how they are used.
IN_TABLES = {
    "_KINDS": ("fullmatch",),
    "_ABSOLUTE": ("fullmatch",),
    "_SPELLED": ("fullmatch",),
    "_YEAR_FIRST": ("fullmatch",),
    "_YEAR_LAST": ("fullmatch",),
}
LONG = 50  # repeats that are bounded below this are no danger


def _modules() -> Iterator[Any]:
    for package in (services, shared):
        prefix = f"{package.__name__}."
        for found in pkgutil.walk_packages(package.__path__, prefix):
            last = found.name.rpartition(".")[2]
            if last != "__main__" and ".migrations." not in found.name:
                yield importlib.import_module(found.name)


def _patterns_in(value: Any, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 3 and isinstance(value, dict):
        for each in value.values():
            yield from _patterns_in(each, depth + 1)
    elif depth < 3 and isinstance(value, tuple | list | frozenset):
        for each in value:
            yield from _patterns_in(each, depth + 1)


def _methods_by_name() -> dict[str, set[str]]:
    """How the patterns of each name are used: `_TAG.sub(…)`, `map(_PARTS.match, …)`."""
    used: dict[str, set[str]] = defaultdict(set)
    for path in [
        *ROOT.glob("services/**/*.py"),
        *ROOT.glob("shared/**/*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                owner = node.value
                if isinstance(owner, ast.Name):
                    used[f"{path.stem}.{owner.id}"].add(node.attr)
                    used[owner.id].add(node.attr)
                elif isinstance(owner, ast.Attribute):
                    used[owner.attr].add(node.attr)
    return used


def _all_patterns() -> dict[str, tuple[re.Pattern[Any], tuple[str, ...]]]:
    used = _methods_by_name()
    found: dict[str, tuple[re.Pattern[Any], tuple[str, ...]]] = {}
    for module in _modules():
        for name, value in vars(module).items():
            for number, pattern in enumerate(_patterns_in(value)):
                stem = module.__name__.rpartition(".")[2]
                own = IN_TABLES.get(name) or used.get(f"{stem}.{name}")
                own = own or used.get(name)
                methods = tuple(sorted(own or METHODS))
                key = f"{module.__name__}.{name}[{number}]"
                found[key] = (pattern, methods)
    return found


PATTERNS = _all_patterns()


# -- texts made from the parts of a pattern -------------------------------------------------------


def _of_class(items: list[Any]) -> list[str]:
    """A few characters that a class takes."""
    tried = "9a A<&\"'-.,/:\t(!>я"
    taken = []
    negated = bool(items) and items[0][0] is ops.NEGATE
    for letter in tried:
        is_in = any(_holds(item, letter) for item in items)
        if is_in is not negated:
            taken.append(letter)
    for op, value in items:
        if op is ops.LITERAL and not negated:
            taken.append(chr(value))
        elif op is ops.RANGE and not negated:
            taken.append(chr(value[0]))
    return list(dict.fromkeys(taken))[:4] or ["a"]


def _holds(item: Any, letter: str) -> bool:
    op, value = item
    if op is ops.LITERAL:
        return bool(chr(value) == letter)
    if op is ops.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    if op is ops.CATEGORY:
        return _in_category(value, letter)
    return False


def _in_category(category: Any, letter: str) -> bool:
    name = str(category)
    sign = "d" if "DIGIT" in name else "s" if "SPACE" in name else "w"
    sign = sign.upper() if "NOT" in name else sign
    return re.match(rf"\{sign}", letter) is not None


def _one(node: Any) -> str:
    """A short text that a node takes."""
    return _some(node)[0]


def _some(node: Any) -> list[str]:
    op, value = node
    if op is ops.LITERAL:
        return [chr(value)]
    if op is ops.NOT_LITERAL:
        return ["a" if chr(value) != "a" else "b"]
    if op is ops.ANY:
        return ["a"]
    if op is ops.IN:
        return _of_class(value)
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        low, _, body = value
        return [_text(body) * max(low, 1)]
    if op is ops.SUBPATTERN:
        return [_text(value[3])]
    if op is ops.ATOMIC_GROUP:
        return [_text(value)]
    if op is ops.BRANCH:
        return [_text(branch) for branch in value[1]][:4] or [""]
    return [""]


def _text(nodes: Any) -> str:
    return "".join(_one(node) for node in nodes)


def _repeats(nodes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """(what stands before, what is repeated) for each repeat of a pattern."""
    for node in nodes:
        op, value = node
        if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            _, high, body = value
            if high >= LONG:
                for piece in _pieces(body):
                    yield before, piece
            yield from _repeats(body, before)
        elif op is ops.SUBPATTERN:
            yield from _repeats(value[3], before)
        elif op is ops.ATOMIC_GROUP:
            yield from _repeats(value, before)
        elif op is ops.BRANCH:
            for branch in value[1]:
                yield from _repeats(branch, before)
        before += _one(node)


def _pieces(body: Any) -> list[str]:
    if len(body) == 1:
        return [piece for piece in _some(body[0]) if piece]
    whole = _text(body)
    return [whole] if whole else []


def _attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str]]:
    """(beginning, what is repeated behind it) of texts that may be slow."""
    source = pattern.pattern
    text = (
        source.decode("latin-1") if isinstance(source, bytes) else source
    )
    tree = parser.parse(
        text,
        pattern.flags & ~re.UNICODE if isinstance(source, bytes) else 0,
    )
    whole = _text(tree)
    found: dict[tuple[str, str], None] = {}
    for before, piece in _repeats(tree):
        found |= dict.fromkeys(
            [
                (before, piece),
                ("", before + piece),
                ("", piece),
                ("", before or piece),
            ]
        )
    for letter in (" ", "9", "a", "A", "<", '"', "9a", "a ", "9.", "9,"):
        found[("", letter)] = None
    if whole:
        found[("", whole)] = None
        for cut in range(1, min(len(whole), 12)):
            found[("", whole[:cut])] = None
    return iter(list(found)[:MAX_PARTS])


def _seconds(pattern: re.Pattern[Any], method: str, text: Any) -> float:
    started = time.thread_time()
    if method == "sub":
        pattern.sub(text[:0], text)
    elif method == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, method)(text)
    return time.thread_time() - started


def _least(
    pattern: re.Pattern[Any], method: str, text: Any, times: int = 5
) -> float:
    """Seconds; the first time counts where it is fast, so that slow machines find no fault."""
    least = math.inf
    for _ in range(times):
        least = min(least, _seconds(pattern, method, text))
        if least < NOISE_S:
            break
    return least


def _made(
    pattern: re.Pattern[Any], attack: tuple[str, str], size: int, end: str
) -> Any:
    beginning, piece = attack
    text = beginning + piece * (size // len(piece)) + end
    if isinstance(pattern.pattern, bytes):
        return text.encode("latin-1", "replace")
    return text


def _grows(
    pattern: re.Pattern[Any],
    method: str,
    attack: tuple[str, str],
    end: str,
) -> float:
    """How often the time of a text a text four times as long takes; 0 where all are fast.

    From small texts on: a pattern may take exponential time.
    """
    for size in SIZES:
        text = _made(pattern, attack, size, end)
        slow = _least(pattern, method, text)
        if slow < NOISE_S:
            continue
        if size < TINY:
            return math.inf
        shorter = _made(pattern, attack, size // 4, end)
        fast = min(_seconds(pattern, method, shorter) for _ in range(5))
        return slow / max(fast, 1e-6)
    return 0.0


def _confirmed(
    pattern: re.Pattern[Any],
    method: str,
    attack: tuple[str, str],
    end: str,
) -> float:
    """As `_grows`; what is too much is measured again, since machines are noisy."""
    least = math.inf
    for _ in range(4):
        least = min(least, _grows(pattern, method, attack, end))
        if least <= TOO_MUCH:
            break
    return least


@pytest.mark.parametrize("name", PATTERNS)
def test_time_grows_with_the_text_and_not_faster(name: str) -> None:
    pattern, methods = PATTERNS[name]
    slow = {
        (method, *attack, end): round(growth, 1)
        for method in methods
        for attack in _attacks(pattern)
        for end in ENDS
        if (growth := _confirmed(pattern, method, attack, end)) > TOO_MUCH
    }
    assert not slow, f"{pattern.pattern!r}: {slow}"


def test_the_attacks_find_what_is_slow() -> None:
    for slow in (
        r"<(/?)([a-z]+)[^<>]*?(/?)>",
        r"\d+x",
        r"(?:a|b|ab)*c",
        r"\s*\n",
    ):
        pattern = re.compile(slow)
        assert any(
            _grows(pattern, "search", attack, end) > TOO_MUCH
            for attack in _attacks(pattern)
            for end in ENDS
        ), slow
