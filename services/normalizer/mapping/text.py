"""HTML and entities to plain text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

_SPACE = re.compile(r"\s+")
_BLOCKS = frozenset(
    "p br div li tr h1 h2 h3 h4 blockquote figure table".split()
)
_HIDDEN = frozenset({"script", "style", "noscript", "template"})
_MARKUP_PER_TEXT = 20  # characters of markup that are read for one of text


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self._hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def plain_text(markup: object, limit: int) -> str | None:
    """Text without tags, scripts and entities (also those escaped twice), white space folded.

    At most `limit` characters.
    """
    if not isinstance(markup, str) or not markup.strip():
        return None
    text = html.unescape(_shown(markup[: limit * _MARKUP_PER_TEXT]))
    text = _SPACE.sub(" ", text).strip()
    if len(text) > limit:
        text = text[: limit - 1].rsplit(" ", 1)[0] + "…"
    return text or None


def _shown(markup: str) -> str:
    parser = _Text()
    try:
        parser.feed(markup)
        parser.close()
    except (
        AssertionError
    ):  # html.parser gives up on `<![x`; then the text is what it is
        return markup
    return "".join(parser.parts)
