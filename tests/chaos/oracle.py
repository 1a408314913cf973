"""What the tables must hold, from the input alone.

Shares no code with the pipeline; each finding is a sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg2

from tests.chaos.feed import CsvFile, Input
from tests.support.series import WRONG_CHANGES, WRONG_SUMS

# records, inserted, updated, unchanged, skipped, rejected
Counts = tuple[int, int, int, int, int, int]
TOLERATED = (
    "superseded_page"  # of a stale worker: reported, and not applied
)

# Each replay: its records, those of the run that it replays, those accounted for, and those that
# changed anything.
_REPLAYS = f"""
SELECT r.run_id::text, sum(p.records) - coalesce(sum((p.skip_reasons->>'{TOLERATED}')::int), 0),
       (SELECT sum(records) FROM page_receipts AS of
        WHERE of.run_id = (r.request->>'run_id')::uuid),
       sum(p.inserted + p.updated + p.unchanged + p.skipped + p.rejected),
       sum(p.inserted + p.updated), sum(p.records)
FROM runs AS r JOIN replay_receipts AS p USING (run_id) GROUP BY r.run_id
"""
# Pages of a replayed run that a replay has not read, and their records.
_NOT_REPLAYED = """
SELECT count(*), coalesce(sum(p.records), 0) FROM page_receipts AS p
WHERE p.run_id = (SELECT (request->>'run_id')::uuid FROM runs WHERE run_id = %s)
AND NOT EXISTS (SELECT FROM replay_receipts AS r WHERE r.run_id = %s AND r.page_id = p.page_id)
"""
_NOTES = """
SELECT jsonb_array_elements_text(notes) FROM run_tasks WHERE run_id = %s
"""
_MISSING = re.compile(
    r"(\d+) pages that were loaded are not in the topic"
)


class Oracle:
    """Compares a database with an input.

    `findings` is empty when nothing is lost, doubled or torn.
    """

    def __init__(
        self,
        dsn: str,
        *,
        may_reread: bool = False,
        is_pruned: bool = False,
    ) -> None:
        """`may_reread`: logs have lost their ends, and with them where files were read to.

        `is_pruned`: old raw pages and runs have been removed.
        """
        self._may_reread, self._is_pruned = may_reread, is_pruned
        self._connection = psycopg2.connect(dsn)
        self._connection.set_session(readonly=True, autocommit=False)
        with self._connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'")
        self.findings: list[str] = []
        self.checked: Counter[str] = Counter()

    def close(self) -> None:
        self._connection.close()

    def _told_to_be_missing(self, run_id: str) -> int:
        """Records of pages that a log has lost with its end, where the replay says so."""
        ((pages, records),) = self.rows(_NOT_REPLAYED, run_id, run_id)
        told = sum(
            int(found[1])
            for (note,) in self.rows(_NOTES, run_id)
            if (found := _MISSING.search(note))
        )
        return records if told == pages else 0

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchall()

    def compare(self, given: Input, reads: int) -> list[str]:
        """`reads`.

        How many runs have read the tickers of all waves, each of them all coins of its wave.
        """
        for file in given.files:
            self._file(file)
            if not self._is_pruned:
                self._raw(file)
        for name, articles in given.articles.items():
            self._feed(name, articles)
        self._tickers(given, reads)
        self._ledgers()
        self._series(given)
        self._rest(given)
        return self.findings

    def _say(self, what: str, expected: Any, found: Any) -> None:
        if expected != found:
            self.findings.append(
                f"{what}: expected {expected}, found {found}"
            )

    # -- files -----------------------------------------------------------------------------------

    def _file(self, file: CsvFile) -> None:
        """The last value of each minute, the sums of the receipts.

        And each bad line as one dead letter.
        """
        last: dict[datetime, tuple[Decimal, ...]] = {}
        bad: dict[int, str] = {}
        good = blank = 0
        for row in file.content():
            if row.bad:
                bad[row.line] = row.bad
            elif row.is_blank:
                blank += 1
            elif row.moment:
                good += 1
                last[row.moment] = row.values()
        found = 0
        wrong = []
        for moment, *values in self._candles(file.stream):
            found += 1
            if last.get(moment) != tuple(values):
                wrong.append((moment, last.get(moment), tuple(values)))
        self._say(f"{file.stream}: data points", len(last), found)
        if wrong:
            self.findings.append(
                f"{file.stream}: {len(wrong)} data points differ, such as {wrong[0]}"
            )
        again = self._counted(
            file, len(last), good - len(last), blank, len(bad)
        )
        self._letters(file, bad, again)
        self.checked["data points"] += found

    def _counted(
        self,
        file: CsvFile,
        different: int,
        equal: int,
        blank: int,
        bad: int,
    ) -> int:
        """Compare the sums of the receipts; returns how many records were read again."""
        records, inserted, updated, unchanged, skipped, rejected = (
            self._sums(file.stream)
        )
        again = max(0, records - file.rows) if self._may_reread else 0
        self.checked["records read again"] += again
        self._say(
            f"{file.stream}: records counted", file.rows + again, records
        )
        self._say(f"{file.stream}: inserted", different, inserted)
        more = 0
        for name, expected, count in (
            ("updated and unchanged", equal, updated + unchanged),
            ("skipped", blank, skipped),
            ("rejected", bad, rejected),
        ):
            if again and count > expected:
                more += count - expected
            else:
                self._say(f"{file.stream}: {name}", expected, count)
        self._say(f"{file.stream}: what was read again", again, more)
        return again

    def _letters(
        self, file: CsvFile, bad: dict[int, str], again: int
    ) -> None:
        letters = self.rows(
            "SELECT (origin->>'line')::int, reason, count FROM dead_letters WHERE stream = %s"
            " AND reason <> %s ORDER BY 1",
            file.stream,
            TOLERATED,
        )
        # Equal rows are one letter with a count, which names the line of the last of them.
        met: Counter[str] = Counter()
        for _, why, count in letters:
            met[why] += count
        expected = Counter(bad.values())
        if again:  # those of rows that were read again count again
            met &= expected
        self._say(
            f"{file.stream}: dead letters by reason",
            dict(expected),
            dict(met),
        )
        self._say(
            f"{file.stream}: dead letters whose line is not bad so",
            [],
            [line for line, why, _ in letters if bad.get(line) != why],
        )
        self.checked["dead letters"] += len(letters)

    def _candles(self, stream: str) -> Iterator[tuple[Any, ...]]:
        with self._connection.cursor(name="candles") as cursor:
            cursor.itersize = 10_000
            cursor.execute(
                'SELECT "timestamp", open, high, low, close, volume FROM unified_data WHERE'
                ' stream = %s ORDER BY "timestamp"',
                (stream,),
            )
            yield from cursor

    def _raw(self, file: CsvFile) -> None:
        """The archive holds every row of the file, in order, once.

        A row that was read again stands there again, as it was.
        """
        content = [row.cells for row in file.content()]
        covered = 0
        with self._connection.cursor(name="raw") as cursor:
            cursor.itersize = 50
            cursor.execute(
                "SELECT payload, (origin->>'first_row')::int - 1 FROM raw_data AS r"
                " JOIN page_receipts AS p USING (page_id) WHERE r.stream = %s"
                # Not by time: the broker's clock is set back.
                " ORDER BY p.raw_time, p.raw_offset",
                (file.stream,),
            )
            for payload, first in cursor:
                is_next = first == covered
                is_again = self._may_reread and first < covered
                if not (is_next or is_again):
                    self.findings.append(
                        f"{file.stream}: a page begins at row {first}, behind {covered}"
                    )
                    return
                past = first + len(payload)
                if content[first:past] != payload:
                    self.findings.append(
                        f"{file.stream}: raw rows {first} to {past} are others"
                    )
                    return
                covered = max(covered, past)
        self._say(f"{file.stream}: raw rows", file.rows, covered)
        self.checked["raw records"] += covered

    def _sums(self, stream: str) -> Counts:
        columns = ", ".join(
            f"coalesce(sum({name}), 0)::int"
            for name in (
                "records",
                "inserted",
                "updated",
                "unchanged",
                "skipped",
                "rejected",
            )
        )
        query = f"SELECT {columns} FROM page_receipts WHERE stream = %s"
        return self.rows(query, stream)[0]  # type: ignore[return-value]

    # -- feeds and tickers -----------------------------------------------------------------------

    def _feed(
        self, name: str, articles: dict[str, dict[str, str]]
    ) -> None:
        expected = sorted(
            (entry["link"], entry["title"], entry["summary"])
            for entry in articles.values()
        )
        found = sorted(
            self.rows(
                "SELECT url, title, summary FROM unified_data WHERE stream = %s",
                f"rss/{name}",
            )
        )
        self._say(f"rss/{name}: articles", len(expected), len(found))
        if differing := set(expected) ^ set(found):
            self.findings.append(
                f"rss/{name}: {len(differing)} articles differ, such as {next(iter(differing))}"
            )
        inserted = self._sums(f"rss/{name}")[1]
        self._say(f"rss/{name}: inserted", len(articles), inserted)
        edited = sum(
            entry["title"].count("(edited") for entry in articles.values()
        )
        revisions = self.rows(
            "SELECT count(*) FROM unified_revisions AS r JOIN unified_data AS u USING (id)"
            " WHERE u.stream = %s",
            f"rss/{name}",
        )
        self._say(
            f"rss/{name}: replaced values that are kept",
            edited,
            revisions[0][0],
        )
        self.checked["data points"] += len(found)

    def _tickers(self, given: Input, reads: int) -> None:
        found = {
            (coin, moment.isoformat()): price
            for coin, moment, price in self.rows(
                'SELECT instrument, "timestamp", price FROM unified_data WHERE stream ='
                " 'coinpaprika/tickers'"
            )
        }
        if found != given.quoted:
            odd = set(found.items()) ^ set(given.quoted.items())
            self.findings.append(
                f"coinpaprika/tickers: {len(odd)} differences, such as {next(iter(odd))}"
            )
        records, inserted, *_ = self._sums("coinpaprika/tickers")
        self._say(
            "coinpaprika/tickers: records counted",
            reads * given.coins,
            records,
        )
        self._say(
            "coinpaprika/tickers: inserted", len(given.quoted), inserted
        )
        self.checked["data points"] += len(found)

    # -- accounting ------------------------------------------------------------------------------

    def _ledgers(self) -> None:
        """Every run has ended; its pages are numbered without gap or double.

        Every record stands in exactly one column.
        """
        for run_id, status in self.rows(
            "SELECT run_id::text, status FROM runs WHERE status NOT IN ('succeeded', 'partial')"
        ):
            self.findings.append(f"run {run_id} is {status}")
        for run_id, stream, pages, numbers, highest in self.rows(
            "SELECT run_id::text, stream, count(*), count(DISTINCT page_no), max(page_no) FROM"
            " page_receipts GROUP BY run_id, stream"
        ):
            self._say(
                f"run {run_id} {stream}: page numbers",
                (pages, pages - 1),
                (numbers, highest),
            )
        for page_id, records, accounted in self.rows(
            "SELECT page_id::text, records, inserted + updated + unchanged + skipped + rejected"
            " FROM page_receipts WHERE records <> inserted + updated + unchanged + skipped +"
            " rejected"
        ):
            self.findings.append(
                f"page {page_id}: {records} records, {accounted} accounted for"
            )
        for run_id, stream, published, received in self.rows(
            "SELECT t.run_id::text, t.stream, t.pages, count(p.page_id) FROM run_tasks AS t"
            " LEFT JOIN page_receipts AS p USING (task_id) WHERE t.source <> 'replay' GROUP BY"
            " t.task_id HAVING t.pages IS DISTINCT FROM count(p.page_id)"
        ):
            self.findings.append(
                f"run {run_id} {stream}: {published} pages published, {received} received"
            )
        for (
            run_id,
            replayed,
            of_run,
            accounted,
            moved,
            records,
        ) in self.rows(_REPLAYS):
            self._say(
                f"replay {run_id}: records, and those that changed anything",
                (of_run - self._told_to_be_missing(run_id), 0),
                (replayed, moved),
            )
            self._say(
                f"replay {run_id}: records accounted for",
                records,
                accounted,
            )
        self.checked["replayed pages"] = self.rows(
            "SELECT count(*) FROM replay_receipts"
        )[0][0]
        self.checked["runs"] = self.rows("SELECT count(*) FROM runs")[0][
            0
        ]
        self.checked["pages"] = self.rows(
            "SELECT count(*) FROM page_receipts"
        )[0][0]

    def _series(self, given: Input) -> None:
        """Sums are those of the points; of each file all was asked that lies within it."""
        self._say("series with other sums", [], self.rows(WRONG_SUMS))
        self._say(
            "changes that are not told once", [], self.rows(WRONG_CHANGES)
        )
        for file in given.files:
            moments = [
                row.moment
                for row in file.content()
                if row.moment and not row.bad
            ]
            if not moments:
                continue
            self._say(
                f"{file.stream}: times that were asked for",
                [(min(moments), max(moments))],
                self.rows(
                    "SELECT first_at, last_at FROM asked WHERE stream = %s"
                    " AND outcome = 'answered'",
                    file.stream,
                ),
            )
        self.checked["series"] = self.rows("SELECT count(*) FROM series")[
            0
        ][0]

    def _rest(self, given: Input) -> None:
        """Nothing is there that was not asked for."""
        known = set(given.streams())
        for table in (
            "unified_data",
            "raw_data",
            "page_receipts",
            "stream_state",
        ):
            foreign = [
                stream
                for (stream,) in self.rows(
                    f"SELECT DISTINCT stream FROM {table}"
                )
                if stream not in known
            ]
            self._say(f"{table}: foreign streams", [], foreign)
        self._say(
            "data points whose id is not that of their time",
            0,
            self.rows(
                "SELECT count(*) FROM unified_data WHERE CASE WHEN kind = 'news'"
                " THEN id::text NOT LIKE 'f%' ELSE left(id::text, 18) <>"
                ' left(first_point_id("timestamp")::text, 18) END'
            )[0][0],
        )
        self._say(
            "pages in raw_data without a receipt",
            0,
            self.rows(
                "SELECT count(*) FROM raw_data LEFT JOIN page_receipts AS p USING (page_id)"
                " WHERE p.page_id IS NULL"
            )[0][0],
        )
        if not self._is_pruned:
            self._say(
                "receipts without a page in raw_data",
                0,
                self.rows(
                    "SELECT count(*) FROM page_receipts AS p LEFT JOIN raw_data AS r USING"
                    " (page_id) WHERE r.page_id IS NULL"
                )[0][0],
            )
        foreign = self.rows(
            "SELECT DISTINCT reason FROM dead_letters WHERE page_id IS NULL"
        )
        self._say("dead letters of foreign messages", [], foreign)
        self.checked["superseded pages"] = self.rows(
            "SELECT count(*) FROM dead_letters WHERE reason = %s",
            TOLERATED,
        )[0][0]
