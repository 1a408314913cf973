"""What coins' names and symbols mean elsewhere: an agency, a law, a film, a job. Such words are no mention of the coin."""

from __future__ import annotations

import re

_OFFICE = "staff|staffers?|agency|department|federal|government|memo|savings|layoffs|spending|contracts|workers|employees|budget|cost-cutting|task force|efficiency"
_HIRES = "names?|named|new|hires?|hired|appoints?|appointed|as|its|former|interim|taps?|promotes?|chief|first"
_SENSES = (
    rf"\bDOGE\b(?=.*\b(?:{_OFFICE})\b)", rf"(?<=Musk's )DOGE\b|(?<=White House )DOGE\b|(?<=by )DOGE(?= (?:{_OFFICE}))",
    r"\b[Ss]ui (?:[Gg]eneris|[Jj]uris)\b",
    r"\bPolygon\b(?=,? (?:the |a )?(?:gaming|games?|news|site|writer|journalist|review|shapes?|mesh))",
    r"\bTron(?=: |\s+(?:Legacy|Ares|[Ff]ilm|[Mm]ovie|[Ss]equel|[Rr]emake))",
    r"\bShiba Inu(?= (?:[Dd]ogs?|[Bb]reed|[Pp]upp(?:y|ies)|[Oo]wners?|[Nn]amed|[Mm]ascot))|\b[Aa] Shiba Inu\b",
    r"\bPepe (?:the Frog|Le Pew|Escobar)\b", r"\b[Cc]hain-?[Ll]ink (?:[Ff]ences?|[Ff]encing)\b", r"\bRipple (?:[Ee]ffects?|[Tt]hrough|[Aa]cross)\b",
    r"\b[Tt]he [Gg]raph (?:[Ss]hows?|[Bb]elow|[Aa]bove|[Tt]hat|[Oo]f|[Tt]ells|[Ss]uggests|[Hh]ere)\b",
    r"\bYayoi Kusama\b|\bKusama (?:exhibit\w*|artworks?|paintings?|retrospective)\b", r"\bHelium (?:[Ss]hortage|[Bb]alloons?|[Gg]as|[Ll]eak|[Rr]eserve)\b",
    r"\bAPT[ -]?\d+\b|\bAPT (?:[Gg]roups?|[Aa]ctors?|[Hh]ackers?|[Aa]ttacks?)\b|\b(?:Korean|Chinese|Russian|state) APT\b",
    r"\bADA(?= (?:[Cc]omplian\w+|[Aa]ccessib\w+|[Ll]awsuits?|[Ww]ebsite))|\bGerolamo Cardano\b", r"\bETH Z[uü]rich\b", r"\bEOS (?:R\d|[Cc]amera)\b",
    rf"(?<=\b)(?:{_HIRES}) (?:\w+ )?(?:CRO|COMP)\b(?! (?:token|price|holders))", r"\bLedger Nano\b|\bNano (?:X|S|Gen)\b", r"\bH(?:IVE|ive) (?:Digital|Blockchain)\b",
    r"\bWei Dai\b", r"\bJupiter,? (?:Florida|Fla|Asset|Fund|Wealth)\b|\bJupiter's moons?\b", r"\bLTC (?:insurance|facilit\w+)\b", r"\b[Tt]heta [Dd]ecay\b",
    r"\bZK[ -](?:[Rr]ollups?|[Pp]roofs?|EVMs?|[Tt]ech\w*|[Cc]ircuits?|[Cc]ryptography)\b|\bZK-\w+", r"\bQuant (?:[Ff]unds?|[Tt]rad\w+|[Hh]edge|[Ff]irms?|[Ss]hops?)\b",
    r"\bCosmos (?:[Ee]xhibit\w*|[Mm]agazine|[Dd]ocumentary)\b", r"\b[Tt]etherball\b",
)  # fmt: skip
_PATTERN = re.compile("|".join(_SENSES))


def without_other_senses(text: str) -> str:
    """The text with such words blanked out, so that places in it stay the same."""
    return _PATTERN.sub(lambda found: " " * len(found[0]), text)
