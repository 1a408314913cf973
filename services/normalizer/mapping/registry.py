"""The mapping of every source. What stands in `Source` is found here by its module."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from services.normalizer.mapping.base import Compile, MapAtOnce
from shared.messages.base import Source

# Part of every data point's version: raise it by hand, with a line in docs/mapping-versions.md,
# whenever the output of a mapping changes.
NORMALIZER_VERSION = 6
_KNOWN = frozenset(map(str, Source))


def mapping_of(source: str) -> Compile | None:
    """The function `compile_mapping` of the source's module, None for an unknown source."""
    if source not in _KNOWN:
        return None
    compile_mapping: Compile = _module(Source(source)).compile_mapping
    return compile_mapping


def mapping_at_once(source: str) -> MapAtOnce | None:
    """The function `map_at_once` of the source's module, where it has one."""
    return getattr(_module(Source(source)), "map_at_once", None)


@cache
def _module(source: Source) -> ModuleType:
    package = __name__.rpartition(".")[0]
    return import_module(f"{package}.{source.module}")
