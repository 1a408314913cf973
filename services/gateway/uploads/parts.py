"""Which part of a file a request carries, by its Content-Range (RFC 9110, 14.4). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.gateway.problems import ProblemError, field_problem

_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
FIELD = "header.Content-Range"


@dataclass(frozen=True)
class Part:
    """`length` bytes from `first` on. `total`: of the whole file."""

    first: int
    length: int
    total: int

    @property
    def is_last(self) -> bool:
        return self.first + self.length == self.total


def part_of(
    content_range: str | None, content_length: str | None
) -> Part:
    """Raises ProblemError 411, 422."""
    declared = None
    if content_length is not None and content_length.isdigit():
        declared = int(content_length[:15])
    if content_range is None:
        if declared is None:
            raise ProblemError(
                411,
                "say how large it is: Content-Length or Content-Range",
            )
        return Part(0, declared, declared)
    found = _RANGE.fullmatch(content_range.strip())
    if found is None:
        raise field_problem(FIELD, "write it as `bytes 0-1023/4096`")
    first, last, total = map(int, found.groups())
    length = last - first + 1
    if not 0 < length <= total - first:
        raise field_problem(FIELD, "it does not lie within the file")
    if declared is not None and declared != length:
        raise field_problem(
            FIELD,
            f"it names {length} bytes, and the body has {declared}",
        )
    return Part(first, length, total)
