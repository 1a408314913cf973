"""What coins' names and symbols mean elsewhere: an agency, a law, a film, a job.

Such words are not mentions of the coin. `senses.txt` lists them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from shared.values.words import lines


@cache
def _pattern() -> re.Pattern[str]:
    definitions: dict[str, list[str]] = {}
    patterns: list[str] = []
    for line in lines(Path(__file__).with_suffix(".txt")):
        if line.startswith("@"):
            name, _, part = line[1:].partition(" ")
            definitions.setdefault(name, []).append(part)
        else:
            patterns.append(line)
    whole = "|".join(patterns)
    for name, alternatives in definitions.items():
        whole = whole.replace(f"{{{name}}}", "|".join(alternatives))
    return re.compile(whole)


def without_other_senses(text: str) -> str:
    """The text with such words blanked out, so that places in it stay the same."""
    return _pattern().sub(lambda found: " " * len(found[0]), text)
