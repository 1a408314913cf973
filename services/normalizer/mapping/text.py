"""HTML and entities to plain text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

_SPACE = re.compile(r"\s+")
_BLOCKS = frozenset(
    "p br div li tr h1 h2 h3 h4 blockquote figure table".split()
)
_TAG = re.compile(
    r"<(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9]{0,15})[^<>]{0,2000}>"
)
_VOID = frozenset({"br", "img", "hr", "wbr"})
_PAIRED = frozenset(
    "a abbr b blockquote center cite code div em figcaption figure font h1 h2 h3 h4 h5 h6 i li ol "
    "p pre q s section small span strike strong sub sup table tbody td th thead tr u ul".split()
)
_ELEMENTS = (
    _VOID
    | _PAIRED
    | frozenset(
        "article aside audio body button caption col dd del details dl dt footer form head header "
        "html iframe input ins label link main mark meta nav noscript object option picture rp rt "
        "ruby script select source style summary svg template textarea tfoot time title tt video "
        "var kbd samp dfn address area big bdi bdo embed fieldset legend map param progress track "
        "center font strike image path wbr base canvas hgroup menu output search slot data".split()
    )
)
_WORD_ONLY = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:, ?[A-Za-z0-9]+)?>")
_ADDRESS = re.compile(r"<[^<>\s@]+@[^<>\s@]+>")
_HIDDEN = frozenset({"script", "style", "noscript", "template"})
_MARKUP_PER_TEXT = (
    20  # characters of markup that are read for one of text
)


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

    Tags that were escaped twice go too, where they open and close like markup; a lone `<blink>` is
    a word of the text. At most `limit` characters.
    """
    if not isinstance(markup, str) or not markup.strip():
        return None
    text = html.unescape(
        _shown(_readable(markup[: limit * _MARKUP_PER_TEXT]))
    )
    if _is_markup(text):
        text = html.unescape(_shown(text))
    text = _SPACE.sub(" ", text).strip()
    if len(text) > limit:
        text = text[: limit - 1].rsplit(" ", 1)[0] + "…"
    return text or None


def _readable(markup: str) -> str:
    """Without comments that never end, and with names in angle brackets that are no elements."""
    before, end, after = markup.rpartition("-->")
    text = before + end + after.replace("<!--", "")
    return _TAG.sub(_element_or_text, text)


def _element_or_text(tag: re.Match[str]) -> str:
    """`Vec<u8>` and `<T>` are text, as is an address of mail."""
    name = tag["name"].lower()
    if _ADDRESS.fullmatch(tag[0]):
        return html.escape(tag[0])
    is_element = name in _ELEMENTS or not _WORD_ONLY.fullmatch(tag[0])
    return tag[0] if is_element else html.escape(tag[0])


def _is_markup(text: str) -> bool:
    """Whether every tag in a text is one of HTML, and each that opens is closed."""
    open_: list[str] = []
    found = 0
    for tag in _TAG.finditer(text):
        name = tag["name"].lower()
        found += 1
        if name in _VOID:
            continue
        if name not in _PAIRED:
            return False
        if not tag["slash"]:
            open_.append(name)
        elif not open_ or open_.pop() != name:
            return False
    return found > 0 and not open_


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
