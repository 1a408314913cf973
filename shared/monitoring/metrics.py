"""What a service counts while it works, in the registry of prometheus-client.

Each process counts its own work from its start on: pages that the extractor has published, that the
normalizer has mapped, that the loader has stored. Exemplars carry the run.
"""

from __future__ import annotations

import time

from prometheus_client import Counter, Histogram

PREFIX = "crypto_ingest"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_pages = Counter(
    f"{PREFIX}_pages", "Pages that this service is done with", ["source"]
)
_records = Counter(
    f"{PREFIX}_records", "Records of those pages", ["source"]
)
_bytes = Counter(
    f"{PREFIX}_page_bytes",
    "Bytes of raw pages, counted by the normalizer",
    ["source"],
)
_rejected = Counter(
    f"{PREFIX}_rejected_records",
    "Records that this service has refused",
    ["source", "reason"],
)
_page_seconds = Histogram(
    f"{PREFIX}_page_seconds",
    "From when a raw page lay in Kafka until this service was done with it",
    ["source"],
    buckets=SECONDS,
)
batch_seconds = Histogram(
    f"{PREFIX}_batch_seconds",
    "The loader's batches, from staging to commit",
    buckets=SECONDS,
)
database_waits = Counter(
    f"{PREFIX}_database_waits",
    "Times that PostgreSQL did not take work, which was tried again",
)

deliveries = Counter(
    f"{PREFIX}_deliveries",
    "What webhooks were told: it arrived, is tried again, or was given up",
    ["result"],
)


def count_pages(
    source: str, pages: int, records: int, size: int = 0
) -> None:
    """Count pages of one source that this service is done with; `size` in bytes."""
    _pages.labels(source).inc(pages)
    _records.labels(source).inc(records)
    _bytes.labels(source).inc(size)


def count_rejected(source: str, reason: str, records: int) -> None:
    """Count records that were refused for a reason."""
    _rejected.labels(source, reason).inc(records)


def note_page_time(source: str, raw_time_ms: int, run_id: str) -> None:
    """How long ago a raw page was published, by the broker's time of it."""
    seconds = max(0.0, time.time() - raw_time_ms / 1000)
    _page_seconds.labels(source).observe(seconds, {"run_id": run_id})


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
