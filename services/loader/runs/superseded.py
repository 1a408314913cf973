"""What a file yielded by an older mapping.yaml, and yields no more, is retired.

A run that reads a file from its start with other lines of mapping.yaml than before yields other
identities; those of the old reading would stay beside them for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from services.loader.database import by_index, db_of
from services.loader.pages import asked
from shared.messages.base import Source
from shared.versions import OF_LATER_READING

# Streams that this run read from their start, by other lines than the reading before.
_SELECT_READ_ANEW = """
SELECT own.stream, own.raw_time, own.raw_offset
FROM (
    SELECT r.stream, r.context -> 'mapping' AS mapping, r.broker_time, p.raw_time, p.raw_offset
    FROM raw_data AS r JOIN page_receipts AS p USING (page_id)
    WHERE r.run_id = :run AND r.source = :source AND r.page_no = 0
    AND r.origin ->> 'first_row' = '1'
) AS own CROSS JOIN LATERAL (
    SELECT b.context -> 'mapping' AS mapping
    FROM raw_data AS b JOIN page_receipts AS q USING (page_id)
    WHERE b.stream = own.stream AND b.run_id <> :run
    AND (q.raw_time, q.raw_offset) < (own.raw_time, own.raw_offset)
    ORDER BY q.raw_time DESC, q.raw_offset DESC LIMIT 1
) AS before
WHERE before.mapping IS DISTINCT FROM own.mapping
"""
# All that pages of other runs yielded, where one of them wrote it last.
_RETIRE = f"""
WITH yielded AS (
    SELECT unnest(ids) AS id FROM page_receipts
    WHERE stream = :stream AND run_id <> :run
    UNION SELECT unnest(ids) FROM replay_receipts
    WHERE stream = :stream AND is_applied
)
UPDATE points AS u SET retired_at = clock_timestamp(), updated_at = clock_timestamp(),
    revision = u.revision + 1, run_id = :run, raw_time = :raw_time, raw_offset = :raw_offset,
    record_index = {OF_LATER_READING}
FROM yielded WHERE u.id = yielded.id AND coalesce(u.run_id, (
    SELECT r.run_id FROM page_receipts AS r WHERE r.page_id = u.page_id)) <> :run
AND u.series_id IN (SELECT series_id FROM series WHERE stream = :stream)
AND u.retired_at IS NULL AND (u.raw_time, u.raw_offset) < (:raw_time, :raw_offset)
"""


def retire_old_readings(
    transaction: Connection, run_id: str
) -> Iterator[str]:
    """Retire them; yields a note for each stream. Once, when the run has ended."""
    values = {"run": run_id, "source": str(Source.CSV)}
    for row in list(transaction.execute(text(_SELECT_READ_ANEW), values)):
        retired = _retire(transaction, run_id, row)
        asked.forget(db_of(transaction), row.stream, run_id)
        if retired:
            yield (
                f"{retired} data points that {row.stream} yielded by its old lines in mapping.yaml "
                "are retired"
            )


def _retire(transaction: Connection, run_id: str, row: Any) -> int:
    values = {
        "run": run_id,
        "stream": row.stream,
        "raw_time": row.raw_time,
        "raw_offset": row.raw_offset,
    }
    with by_index(db_of(transaction)):
        return transaction.execute(text(_RETIRE), values).rowcount
