"""What the other words and coins of a text say about a word that may be a coin.

A list of coins (`BTC, ETH, HYPE`), and a capital amid small letters in a text about coins.
"""

from __future__ import annotations

import re

from services.normalizer.coins.reading import Mention, Reading
from services.normalizer.coins.table import Need, contexts, words

_LISTED = re.compile(
    r"(?:'s|’s)?(?:\s*[,/、&·]|\s+(?:and|or|y|e|und|и|vs\.?)(?=\s))"
    r"(?:\s+(?:and|or)(?=\s))?\s*\$?"
)
_ENDED = re.compile(r"\s*(?:$|[:;.!?|–—…)]|\s-\s)")
_BEGINS = ":.|—–;("
_SMALL_WORD = re.compile(r"\s([a-z]{3,})\b")
_AFTER_A_NAME = re.compile(r"^[’']s|^,")
_SHORT = 3  # letters
# Characters and words around a name that are looked at.
_BEFORE = 40
_AFTER = 30
_WORDS_BEFORE = 3
_WORDS_AFTER = 2


def add_by_neighbours(reading: Reading) -> None:
    """Make those mentions sure that the rest of the text makes coins."""
    if reading.is_about_coins():
        _move(reading, _amid_small_letters(reading))
    if reading.sure and reading.unsure:
        _move_lists(reading)


def _move_lists(reading: Reading) -> None:
    for run in _runs(reading):
        if _is_list_of_coins(run, reading):
            _move(reading, run)


def _move(reading: Reading, mentions: list[Mention]) -> None:
    for mention in mentions:
        if mention in reading.unsure:
            reading.unsure.remove(mention)
            reading.sure.append(mention)


# -- lists ----------------------------------------------------------------------------------------


def _runs(reading: Reading) -> list[list[Mention]]:
    """Mentions with nothing but commas and the like between them."""
    runs: list[list[Mention]] = []
    end = -1
    for mention in sorted(
        reading.sure + reading.unsure, key=lambda each: each.start
    ):
        gap = _LISTED.match(reading.text, end) if runs else None
        if gap and gap.end() == mention.start:
            runs[-1].append(mention)
        else:
            runs.append([mention])
        end = mention.end
    return [run for run in runs if len(run) > 1]


def _is_list_of_coins(run: list[Mention], reading: Reading) -> bool:
    """Whether one is a coin for sure, and it begins and ends like a list of coins."""
    if not any(mention in reading.sure for mention in run):
        return False
    if any(_is_no_name(mention, reading.text) for mention in run):
        return False
    return _begins_list(run[0], reading) and _ends_list(run[-1], reading)


def _begins_list(mention: Mention, reading: Reading) -> bool:
    before = reading.text[: mention.start].rstrip()[-1:]
    return before in _BEGINS or _is_bound(mention, reading)


def _ends_list(mention: Mention, reading: Reading) -> bool:
    return _ends(reading.text, mention.end) or _is_bound(mention, reading)


def _is_no_name(mention: Mention, text: str) -> bool:
    return (
        text[mention.start].islower() or mention.end - mention.start < 2
    )


def _is_bound(mention: Mention, reading: Reading) -> bool:
    """Whether a list may begin or end here: with a coin, a symbol in capitals, or no word."""
    if mention in reading.sure or mention.start == 0:
        return True
    if mention.form.is_symbol:
        is_long = mention.end - mention.start >= _SHORT
        return is_long and not reading.is_shouted
    following = _SMALL_WORD.match(reading.text, mention.end)
    return following is not None and following[1] not in words("small")


def _ends(text: str, end: int) -> bool:
    if _ENDED.match(text, end) is not None:
        return True
    return contexts()["moves"].match(text, end) is not None


# -- a capital amid small letters -----------------------------------------------------------------


def _amid_small_letters(reading: Reading) -> list[Mention]:
    """`to trade on Avalanche, says a bank`: a capital among small letters makes a name."""
    return [
        mention
        for mention in reading.unsure
        if _is_capital_name(mention, reading.text)
        and _is_amid_small_letters(mention, reading.text)
    ]


def _is_capital_name(mention: Mention, text: str) -> bool:
    written = text[mention.start : mention.end]
    if mention.form.is_symbol or mention.form.needs == Need.BESIDE:
        return False
    return written[0].isupper() and not written.isupper()


def _is_amid_small_letters(mention: Mention, text: str) -> bool:
    before = _words_before(mention, text)
    after = _words_after(mention, text)
    if not before or not _is_small(before[-1]):
        return False
    if after and _begins_high(after[0]):
        return False
    return any(map(_is_telling, before + after))


def _words_before(mention: Mention, text: str) -> list[str]:
    start = mention.start
    return text[max(0, start - _BEFORE) : start].split()[-_WORDS_BEFORE:]


def _words_after(mention: Mention, text: str) -> list[str]:
    following = text[mention.end : mention.end + _AFTER]
    return _AFTER_A_NAME.sub("", following).split()[:_WORDS_AFTER]


def _begins_high(word: str) -> bool:
    return word[0].isupper() or word[0].isdigit()


def _is_small(word: str) -> bool:
    return word.isalpha() and word.islower()


def _is_telling(word: str) -> bool:
    """Whether a small word would have a capital in a title written in capitals."""
    is_long = len(word) > _SHORT
    return is_long and _is_small(word) and word not in words("small")
