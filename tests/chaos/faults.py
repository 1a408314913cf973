"""What is done to the stack.

Each fault does its harm at once and says what it did; `ChaosStack.heal` undoes what is left of
it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.messages.topics import RAW, Topic
from tests.chaos.fault_points import POINTS
from tests.chaos.stack import SERVICES, ChaosStack, on_cluster

NOBODY = "nobody was there"
BROKER_SESSION_S = 9.0
SESSION_S = 6.0  # how long a consumer may be silent in these stacks
Do = Callable[[ChaosStack, random.Random], str]


@dataclass(frozen=True)
class Fault:
    """`expected` says for people what the product must do about it.

    With a `point` it strikes when a service comes to that point.
    """

    name: str
    expected: str
    do: Do
    point: str | None = None


def _pick(
    stack: ChaosStack,
    rng: random.Random,
    services: tuple[str, ...] = SERVICES,
) -> tuple[str, int] | None:
    """One process of one service; None when it has none right now."""
    service = rng.choice(services)
    pids = stack.pids(service)
    return (service, rng.choice(pids)) if pids else None


def _signal(number: signal.Signals) -> Do:
    def do(stack: ChaosStack, rng: random.Random) -> str:
        found = _pick(stack, rng)
        if found is None:
            return NOBODY
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[1], number)
        return f"{number.name} to a {found[0]}"

    return do


def _freeze(stack: ChaosStack, rng: random.Random) -> str:
    """Longer than its session, so that its partitions move; then it wakes up."""
    found = _pick(stack, rng, ("extractor", "normalizer", "loader"))
    if found is None:
        return NOBODY
    service, pid = found
    seconds = rng.uniform(SESSION_S + 1, SESSION_S + 4)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
    return f"a {service} frozen for {seconds:.0f} s"


def _scale(stack: ChaosStack, rng: random.Random) -> str:
    """Down to one of each and up again, while records flow."""
    service = rng.choice(("extractor", "normalizer", "loader"))
    stack.scale(service, 1)
    time.sleep(rng.uniform(1, 3))
    stack.scale(service, stack.settings.counts()[service])
    return f"{service} scaled to 1 and back"


def _away(
    name: str, number: signal.Signals | None, low: float, high: float
) -> Do:
    def do(stack: ChaosStack, rng: random.Random) -> str:
        part, seconds = getattr(stack, name), rng.uniform(low, high)
        part.stop(number)
        time.sleep(seconds)
        part.start()
        return f"{name} {'killed' if number else 'stopped'}, away for {seconds:.0f} s"

    return do


def _frozen_part(name: str) -> Do:
    def do(stack: ChaosStack, rng: random.Random) -> str:
        part, seconds = (
            getattr(stack, name),
            rng.uniform(3, SESSION_S + 3),
        )
        part.signal(signal.SIGSTOP)
        time.sleep(seconds)
        part.signal(signal.SIGCONT)
        return f"{name} frozen for {seconds:.0f} s"

    return do


def _cut(stack: ChaosStack, rng: random.Random) -> str:
    times = rng.randint(1, 4)
    link = rng.choice(("kafka_link", "postgres_link"))
    for _ in range(times):
        getattr(stack, link).cut()
        time.sleep(rng.uniform(0.1, 0.6))
    return f"{link.removesuffix('_link')} connections cut {times} times"


def _slow(stack: ChaosStack, rng: random.Random) -> str:
    link, seconds = (
        rng.choice(("kafka_link", "postgres_link")),
        rng.uniform(2, 5),
    )
    getattr(stack, link).slow(400_000)
    time.sleep(seconds)
    getattr(stack, link).slow(0)
    return f"{link.removesuffix('_link')} at 400 kB/s for {seconds:.0f} s"


def _lose_tails(stack: ChaosStack, rng: random.Random) -> str:
    """As a power cut may: everything dies at once, and what was not on the disk is gone.

    Commands are flushed before they are answered, so that theirs stay.
    """
    stack.kafka.signal(signal.SIGKILL)
    stack.signal_all(signal.SIGKILL)
    stack.kafka.stop(signal.SIGKILL)
    lost = 0
    for log in sorted(stack.kafka_logs.glob("ingest.*/*.log")):
        if log.parent.name.startswith("ingest.commands"):
            continue
        size = log.stat().st_size
        if size and rng.random() < 0.5:
            kept = int(size * rng.uniform(0.6, 0.999))
            os.truncate(log, kept)
            lost += size - kept
    stack.kafka.start()
    return f"everything killed, {lost} bytes of the ends of logs lost"


def _set_clock(stack: ChaosStack, rng: random.Random) -> str:
    if not stack.clock.can_be_set:
        return NOBODY
    ahead = rng.choice((-7200, -600, 600, 7200))
    stack.clock.set(ahead)
    time.sleep(rng.uniform(1, 4))
    stack.clock.set(0)
    time.sleep(rng.uniform(0.5, 1))
    return f"the broker's clock set by {ahead} s, and back"


def _at(point: str, what: str) -> Fault:
    def do(stack: ChaosStack, _rng: random.Random) -> str:
        """It was armed before the wave began; wait for it to strike."""
        end = time.monotonic() + 8
        while not stack.was_reached(point) and time.monotonic() < end:
            time.sleep(0.05)
        if not stack.was_reached(point):
            return f"{what} at {point}: {NOBODY}"
        if what == "freeze":
            time.sleep(SESSION_S + 1.5)
            stack.signal_all(signal.SIGCONT)
        return f"{what} at {point}"

    expected = (
        "continued from what is in the topics and tables"
        if what == "kill"
        else "its successor is not blocked; its late work changes nothing"
    )
    return Fault(
        f"{'kill -9' if what == 'kill' else what} at {point}",
        expected,
        do,
        point,
    )


def _lose_disk(stack: ChaosStack, rng: random.Random) -> str:
    """One at a time: the others must have everything before."""
    number = rng.randrange(len(stack.brokers))
    stack.lose_disk(number)
    time.sleep(rng.uniform(0, 8))
    stack.prepare_broker(number)
    stack.brokers[number].start()
    stack.wait_in_sync()
    return f"broker {number + 1} killed and its disk lost"


def _freeze_leader(stack: ChaosStack, rng: random.Random) -> str:
    """Longer than brokers wait for each other, so that others lead."""
    number = leader_of(stack, RAW) - 1
    seconds = rng.uniform(BROKER_SESSION_S + 1, BROKER_SESSION_S + 6)
    stack.brokers[number].signal(signal.SIGSTOP)
    time.sleep(seconds)
    stack.brokers[number].signal(signal.SIGCONT)
    stack.wait_in_sync()
    return f"broker {number + 1}, a leader, frozen for {seconds:.0f} s"


def _part_network(stack: ChaosStack, rng: random.Random) -> str:
    """Neither clients nor other brokers reach one; the controllers see it."""
    number = rng.randrange(len(stack.brokers))
    seconds = rng.uniform(4, 16)
    stack.kafka_links[number].close()
    time.sleep(seconds)
    stack.kafka_links[number].open()
    stack.wait_in_sync()
    return f"broker {number + 1} unreachable for {seconds:.0f} s"


def _restart_brokers(stack: ChaosStack, _rng: random.Random) -> str:
    for broker in stack.brokers:
        broker.stop()
        broker.start()
        stack.wait_in_sync()
    return "every broker restarted, one behind the other"


def leader_of(stack: ChaosStack, topic: Topic) -> int:
    """The number of the broker that leads its first partition."""
    found = {
        each["topic"]: each for each in on_cluster(stack.broker_address)
    }
    first = min(
        found[topic.name]["partitions"],
        key=lambda each: each["partition"],
    )
    return int(first["leader"])


LOSE_TAILS = Fault(
    "lose the ends of Kafka's logs",
    "read from their beginning, what is lost is read again from its source",
    _lose_tails,
)
RANDOM = (
    Fault(
        "kill -9 a service",
        "restarted, goes on where it stood",
        _signal(signal.SIGKILL),
    ),
    Fault(
        "SIGTERM a service",
        "ends within its grace period, nothing half done",
        _signal(signal.SIGTERM),
    ),
    Fault(
        "freeze a service past its session",
        "its successor is not blocked; its late work changes nothing",
        _freeze,
    ),
    Fault(
        "scale 3→1→3 under load",
        "partitions move, nothing is skipped or done twice",
        _scale,
    ),
    Fault(
        "kill -9 the broker",
        "services stay up and catch up",
        _away("kafka", signal.SIGKILL, 0, 6),
    ),
    Fault(
        "stop the broker",
        "services stay up and catch up",
        _away("kafka", None, 0, 6),
    ),
    Fault("freeze the broker", "services wait", _frozen_part("kafka")),
    Fault(
        "kill -9 PostgreSQL with its sessions",
        "batches are rolled back and written again",
        _away("postgres", signal.SIGKILL, 0, 6),
    ),
    Fault(
        "stop PostgreSQL",
        "the loader waits, heartbeats go on",
        _away("postgres", None, 0, 6),
    ),
    Fault(
        "freeze PostgreSQL",
        "the loader waits, heartbeats go on",
        _frozen_part("postgres"),
    ),
    Fault("cut connections", "reconnected, nothing half done", _cut),
    Fault("slow links", "slower, nothing else", _slow),
    LOSE_TAILS,
    Fault(
        "set the broker's clock",
        "what comes later stands, whatever its time",
        _set_clock,
    ),
)
CLUSTER = (
    Fault(
        "kill -9 a broker and wipe its disk",
        "it joins anew, and what was acknowledged is there",
        _lose_disk,
    ),
    Fault(
        "freeze a leader",
        "others lead; what it says afterwards changes nothing",
        _freeze_leader,
    ),
    Fault(
        "cut a broker from clients and brokers",
        "services wait or go on with the others",
        _part_network,
    ),
    Fault(
        "restart all brokers, one behind the other",
        "services go on",
        _restart_brokers,
    ),
)
# Kill everything and shorten one log: with three replicas that is not what a power cut does.
_OF_ONE_BROKER = {
    LOSE_TAILS.name,
    "set the broker's clock",
}
WITH_CLUSTER = (
    *CLUSTER,
    *(each for each in RANDOM if each.name not in _OF_ONE_BROKER),
)
IN_WINDOWS = tuple(_at(point, "kill") for point in POINTS)
FROZEN_IN_WINDOWS = tuple(
    _at(point, "freeze")
    for point in (
        "extractor.before_publish",
        "extractor.before_checkpoint",
        "normalizer.before_delivery",
        "loader.in_copy",
        "loader.after_commit",
    )
)
LONG_OUTAGES = (
    Fault(
        "broker away for a minute",
        "services stay up, not ready; catch up by themselves",
        _away("kafka", signal.SIGKILL, 60, 61),
    ),
    Fault(
        "PostgreSQL away for a minute",
        "ingestion is accepted; the loader catches up",
        _away("postgres", None, 60, 61),
    ),
)
