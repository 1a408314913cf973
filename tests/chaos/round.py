"""One round: waves of input, each with its runs and its faults; at the end the oracle."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.faults import (
    CLUSTER,
    FROZEN_IN_WINDOWS,
    IN_WINDOWS,
    LOSE_TAILS,
    NOBODY,
    RANDOM,
    WITH_CLUSTER,
    Fault,
)
from tests.chaos.feed import Input
from tests.chaos.oracle import Oracle
from tests.chaos.stack import ChaosStack
from tests.support.product import ENDED

RUN_TIMEOUT_S = 300.0


@dataclass
class Result:
    """What was done (a fault that met nobody is not counted) and what was found."""

    seed: int
    done: list[tuple[Fault, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    records: int = 0
    seconds: float = 0.0


def plan(
    rng: random.Random,
    waves: int,
    *,
    a_wave: int,
    long: Sequence[Fault] = (),
    brokers: int = 1,
) -> list[list[Fault]]:
    """Which faults come in which wave.

    Every kind once before any comes twice, as far as there is room.
    """
    pool: list[Fault] = []
    chosen: list[Fault] = [*long, *(CLUSTER if brokers > 1 else ())]
    while len(chosen) < waves * a_wave:
        if not pool:
            usual = RANDOM if brokers == 1 else WITH_CLUSTER
            pool = [*usual, *IN_WINDOWS, *FROZEN_IN_WINDOWS]
            rng.shuffle(pool)
        chosen.append(pool.pop())
    rng.shuffle(chosen)
    return [chosen[n::waves] for n in range(waves)]


def play(
    stack: ChaosStack,
    given: Input,
    *,
    records: int,
    waves: int,
    faults: list[list[Fault]],
    say: Callable[[str], None],
) -> Result:
    """Feed, break, heal and wait, wave by wave; then compare."""
    result = Result(given.seed)
    rng = random.Random(given.seed)
    started = time.monotonic()
    reads, before = 0, ""
    for wave in range(waves):
        given.advance(records // waves, wave)
        runs = 1 + rng.randrange(2)
        reads += runs
        for fault in faults[wave]:
            if fault.point:
                stack.arm(
                    fault.point,
                    "freeze" if fault in FROZEN_IN_WINDOWS else "kill",
                )
        breaking = threading.Thread(
            target=_break, args=(stack, rng, faults[wave], result, say)
        )
        breaking.start()
        run_ids = [
            _start(stack, given, f"{given.seed}-{wave}-{n}")
            for n in range(runs)
        ]
        before, replayed = run_ids[0], before
        if replayed:
            # What an earlier wave fetched is normalized again meanwhile, which must change nothing.
            body = {
                "run_id": replayed,
                "origin": ("topic", "archive", "auto")[wave % 3],
            }
            run_ids.append(
                str(
                    stack.insist(
                        "/replay", body, f"{given.seed}-{wave}-replay"
                    )["run_id"]
                )
            )
        breaking.join()
        stack.heal()
        for run_id in run_ids:
            _wait(stack, run_id)
        stack.disarm()
    result.seconds = time.monotonic() - started
    stack.wait_whole()
    stack.wait_quiet()
    has_lost = any(fault is LOSE_TAILS for fault, _ in result.done)
    oracle = Oracle(stack.dsn, may_reread=has_lost)
    result.findings = oracle.compare(given, reads)
    result.checked, result.records = (
        dict(oracle.checked),
        sum(file.rows for file in given.files),
    )
    oracle.close()
    return result


def _start(stack: ChaosStack, given: Input, key: str) -> str:
    """A run of everything, asked for at both gateways with one key."""
    body = {"streams": given.streams()}
    first = stack.insist("/ingest", body, key)
    again = stack.insist("/ingest", body, key)
    assert first["run_id"] == again["run_id"], (
        "one Idempotency-Key gave two runs"
    )
    return str(first["run_id"])


def _break(
    stack: ChaosStack,
    rng: random.Random,
    faults: list[Fault],
    result: Result,
    say: Callable[[str], None],
) -> None:
    for fault in faults:
        time.sleep(rng.uniform(0.2, 1.2))
        try:
            what = fault.do(stack, rng)
        except Exception as error:
            what = f"could not be done: {error!r}"
            result.findings.append(f"{fault.name} {what}")
        if NOBODY not in what:
            result.done.append((fault, what))
        say(f"  {what}")


def _wait(stack: ChaosStack, run_id: str) -> None:
    end = time.monotonic() + RUN_TIMEOUT_S
    status = "unknown"
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            status = stack.run_state(run_id)["status"]
            if status in ENDED - {"incomplete"}:
                return
        stack.second_gateway()
        time.sleep(0.3)
    raise AssertionError(
        f"run {run_id} did not end within {RUN_TIMEOUT_S:.0f} s: it is {status}"
    )
