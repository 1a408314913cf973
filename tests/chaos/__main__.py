"""`python -m tests.chaos [--rounds 3] [--records 200000] [--seed N]`.

Prints what was done, what was expected, what was counted.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.faults import LONG_OUTAGES
from tests.chaos.feed import Input
from tests.chaos.round import Result, plan, play
from tests.chaos.stack import chaos_stack
from tests.simulator import Simulator
from tests.support.stack import prepare

ROWS_A_WAVE = 20_000
FAULTS_A_WAVE = 3
# A consumer that stalls after a rebalance, which Faust is known for, is ended after 40 s instead
# of two minutes.
SETTINGS = {
    "EXTRACTORS": "2",
    "NORMALIZERS": "3",
    "LOADERS": "3",
    "REPAIR_AFTER_S": "15",
    "STUCK_AFTER_S": "20",
    "SPREAD_FROM_PAGE": "2",
}


def say(text: str) -> None:
    print(text, flush=True)


def table(results: list[Result]) -> str:
    """Faults by kind: how often, and what the product had to do about them."""
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for result in results:
        for fault, _what in result.done:
            counted[fault.name, fault.expected] += 1
    lines = [
        "| what was done | times | what the product must do |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {times} | {expected} |"
        for (name, expected), times in sorted(counted.items())
    ]
    lines += [
        "",
        (
            "| seed | records fed | seconds | faults | data points compared | raw records"
            " compared | dead letters compared | runs | pages | late pages refused |"
            " differences |"
        ),
    ]
    lines.append("|" + "---|" * 11)
    for result in results:
        of = result.checked
        cells = (
            result.seed,
            result.records,
            round(result.seconds),
            len(result.done),
            of.get("data points", 0),
            of.get("raw records", 0),
            of.get("dead letters", 0),
            of.get("runs", 0),
            of.get("pages", 0),
            of.get("superseded pages", 0),
            len(result.findings),
        )
        lines.append(
            "| "
            + " | ".join(
                f"{cell:,}" if n else str(cell)
                for n, cell in enumerate(cells)
            )
            + " |"
        )
    return "\n".join(lines)


def main() -> int:
    # Which broker cannot be reached now is what the faults do.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    arguments = argparse.ArgumentParser(prog="python -m tests.chaos")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--records",
        type=int,
        default=200_000,
        help="CSV rows in each round",
    )
    arguments.add_argument(
        "--seed",
        type=int,
        default=None,
        help="of the first round; the next have the next numbers",
    )
    arguments.add_argument(
        "--brokers", type=int, default=1, help="of Kafka: 1 or 3"
    )
    asked = arguments.parse_args()
    seed = (
        asked.seed
        if asked.seed is not None
        else random.SystemRandom().randrange(1, 10_000)
    )
    results: list[Result] = []
    for number in range(asked.rounds):
        result = _round(
            seed + number, asked.records, number, asked.brokers
        )
        results.append(result)
        for finding in result.findings[:20]:
            say(f"  DIFFERENCE {finding}")
    say("\n" + table(results))
    failed = [str(result.seed) for result in results if result.findings]
    say(
        f"\nlost, doubled or torn in the rounds with seed {', '.join(failed)}: run again with"
        f" SEED={failed[0]} ROUNDS=1"
        if failed
        else "\nnothing lost, nothing doubled, nothing torn"
    )
    return 1 if failed else 0


def _round(seed: int, records: int, number: int, brokers: int) -> Result:
    """On servers of its own: what lost the end of a log reads all that was ever in it again."""
    waves = max(2, records // ROWS_A_WAVE)
    long = (
        LONG_OUTAGES[number % 2 : number % 2 + 1]
        if records >= 100_000
        else ()
    )
    faults = plan(
        random.Random(seed),
        waves,
        a_wave=FAULTS_A_WAVE,
        long=long,
        brokers=brokers,
    )
    say(
        f"round {number + 1}, seed {seed}: {records:,} rows in {waves} waves,"
        f" {sum(map(len, faults))} faults"
    )
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        Simulator() as upstream,
    ):
        root = Path(folder)
        prepare(root)
        given = Input(
            root / "csv", upstream, seed, coins=1_000, entries=150
        )
        settings = {**given.settings(), **SETTINGS}
        results: list[Result] = []
        with (
            chaos_stack(
                root / "state", root / "csv", brokers, **settings
            ) as stack,
            keeping_logs(stack.settings.logs, results),
        ):
            result = play(
                stack,
                given,
                records=records,
                waves=waves,
                faults=faults,
                say=say,
            )
            results.append(result)
    return result


@contextlib.contextmanager
def keeping_logs(logs: Path, results: list[Result]) -> Iterator[None]:
    """Copy the logs away when something was found, or when it could not be gone through with."""
    is_through = False
    try:
        yield
        is_through = True
    finally:
        if not is_through or any(result.findings for result in results):
            kept = Path(tempfile.mkdtemp(prefix="chaos-logs-"))
            shutil.copytree(logs, kept, dirs_exist_ok=True)
            for log in logs.parent.glob("*.log"):  # of the servers
                shutil.copy(log, kept)
            say(f"logs are in {kept}")


if __name__ == "__main__":
    sys.exit(main())
