"""Which coins a text is about.

By names in several scripts, symbols, and lists of coins. A name or symbol that is a word besides
counts only where its surroundings show that a coin is meant (`table.Need`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from services.normalizer.coins.meaning import is_meant
from services.normalizer.coins.neighbours import add_by_neighbours
from services.normalizer.coins.reading import Reading, read
from services.normalizer.coins.scripts import named_in_other_scripts
from services.normalizer.coins.table import without_other_senses
from services.normalizer.coins.unlisted import rarer_in, unlisted_in


def coins_named(
    text: str, rarer: Iterable[Sequence[str]] = ()
) -> list[str]:
    """Symbols (lower case) of the coins that a text names, in order of first mention.

    `rarer`: (symbol, name) of coins to look for, too.
    """
    reading = _sorted_out(without_other_senses(text))
    found = list(_found(reading))
    known = {symbol for _, symbol in found}
    found += rarer_in(reading.text, rarer, known)
    return list(dict.fromkeys(symbol for _, symbol in sorted(found)))


def _sorted_out(text: str) -> Reading:
    """The text with its mentions, those that mean a coin apart."""
    reading, mentions = read(text)
    for mention in mentions:
        is_sure = is_meant(mention, reading)
        (reading.sure if is_sure else reading.unsure).append(mention)
    if reading.unsure:
        add_by_neighbours(reading)
    return reading


def _found(reading: Reading) -> Iterator[tuple[int, str]]:
    """(place, symbol) of each coin."""
    for mention in reading.sure:
        yield mention.start, mention.form.symbol
    yield from named_in_other_scripts(
        reading.text, is_about_coins=reading.is_about_coins()
    )
    yield from unlisted_in(reading)
