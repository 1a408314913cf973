"""The mapping of every source. What stands in `Source` is found here by its module."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from services.normalizer.mapping.base import Compile
from shared.messages.base import Source

# Part of every data point's version: raise it by hand, with a line in docs/mapping-versions.md,
# whenever the output of a mapping changes.
NORMALIZER_VERSION = 5
_KNOWN = frozenset(map(str, Source))


def mapping_of(source: str) -> Compile | None:
    """The function `compile_mapping` of the source's module, None for an unknown source."""
    return _compile(Source(source)) if source in _KNOWN else None


@cache
def _compile(source: Source) -> Compile:
    package = __name__.rpartition(".")[0]
    module = import_module(f"{package}.{source.module}")
    compile_mapping: Compile = module.compile_mapping
    return compile_mapping
