"""Every source by its name. What stands in `Source` is found here by its module."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module

from services.extractor.settings import ExtractorSettings
from services.extractor.sources.base import SourceConnector
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.http_client import HttpClient
from shared.messages.base import Source


@dataclass(frozen=True)
class SourceParts:
    """What a source may be built from.

    `count_call`: awaited before every call of a source with a call budget. `coins`: CoinPaprika's
    list of coins.
    """

    settings: ExtractorSettings
    http: HttpClient
    count_call: Callable[[], Awaitable[None]] | None = None
    coins: CoinList | None = None


def build_sources(parts: SourceParts) -> dict[str, SourceConnector]:
    """Each module, or `source` of each package, has a function `build(parts)`."""
    return {str(source): _build(source, parts) for source in Source}


def _build(source: Source, parts: SourceParts) -> SourceConnector:
    name = f"{__name__.rpartition('.')[0]}.{source.module}"
    module = import_module(name)
    if hasattr(module, "__path__"):
        # Not in the package itself: who imports another part of it would import all of this.
        module = import_module(f"{name}.source")
    connector: SourceConnector = module.build(parts)
    return connector
