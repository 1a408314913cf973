"""Parameters of addresses that only say where a reader came from."""

from __future__ import annotations

import re

_TRACKING = re.compile(
    r"(?:utm_\w+|fbclid|gclid|mc_[ce]id|cmpid|igshid|ref_src)="
)


def untracked(text: str) -> str:
    """An address without such parameters."""
    page, mark, rest = text.partition("?")
    query, hash_, fragment = rest.partition("#")
    kept = "&".join(
        part for part in query.split("&") if not _TRACKING.match(part)
    )
    return f"{page}{mark if kept else ''}{kept}{hash_}{fragment}"
