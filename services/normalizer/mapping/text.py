"""HTML and entities to plain text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

_SPACE = re.compile(r"\s+")
_BLOCKS = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "figure", "table"})
_HIDDEN = frozenset({"script", "style", "noscript", "template"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
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
    """Text without tags, scripts and entities (also those escaped twice), white space folded; at most `limit` characters."""
    if not isinstance(markup, str) or not markup.strip():
        return None
    parser = _Text()
    try:
        parser.feed(markup[: limit * 20])
        parser.close()
        shown = "".join(parser.parts)
    except AssertionError:  # html.parser gives up on `<![x`; then the text is what it is
        shown = markup[: limit * 20]
    text = _SPACE.sub(" ", html.unescape(shown)).strip()
    if len(text) > limit:
        text = text[: limit - 1].rsplit(" ", 1)[0] + "…"
    return text or None
