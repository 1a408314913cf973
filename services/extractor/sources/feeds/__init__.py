"""RSS, RDF, Atom and JSON feeds."""

from services.extractor.sources.feeds.source import build

__all__ = ["build"]
