"""What a service counts while it works, in the registry of prometheus-client.

Each process counts its own work from its start on: pages that the extractor has published, that the
normalizer has mapped, that the loader has stored.
"""

from __future__ import annotations

from prometheus_client import Counter

PREFIX = "crypto_ingest"
_pages = Counter(
    f"{PREFIX}_pages", "Pages that this service is done with", ["source"]
)
_records = Counter(
    f"{PREFIX}_records", "Records of those pages", ["source"]
)


def count_pages(source: str, pages: int, records: int) -> None:
    """Count pages of one source that this service is done with."""
    _pages.labels(source).inc(pages)
    _records.labels(source).inc(records)


def counted_records() -> int:
    """Of all sources, since the process has started."""
    return int(
        sum(
            sample.value
            for metric in _records.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )
    )
