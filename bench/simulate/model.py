"""Pages on their way from extractors to PostgreSQL, as events: simpy.

Each step of a page takes a core of its machine for as long as was measured. A service's instance is
one process, which uses one core at a time; PostgreSQL and Kafka use as many as there are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

RECORDS_OF_PAGE = 1_000
BATCH_PAGES = 6
SERVICES = ("extractor", "normalizer", "loader")
SERVERS = ("kafka", "postgres")
# Batches that a loader has on their way: one is copied while another is written.
BATCHES_AT_ONCE = 2
FETCH_WAIT_S = 0.05  # at most, for news of a partition
MANY = 1_000
TOPICS = 2  # that a page passes: raw, and unified
SPREAD = 0.2  # of what a step takes, to both sides


@dataclass(frozen=True)
class Costs:
    """Processor seconds a record, by process; and seconds that nobody works.

    `start_s`: from the POST to the first page. `commit_s`: of a batch, until its disk answers.
    """

    cpu_s: dict[str, float]
    start_s: float
    commit_s: float

    def total(self) -> float:
        return sum(self.cpu_s.values())


@dataclass(frozen=True)
class Group:
    """Machines that are alike, and which services and servers stand on each of them."""

    names: tuple[str, ...]
    machines: int
    cores: int  # of each


@dataclass(frozen=True)
class Layout:
    """How many of each service, and where they stand."""

    instances: dict[str, int]
    partitions: int
    groups: tuple[Group, ...]

    @classmethod
    def of_one(cls, count: int, partitions: int, cores: int) -> Layout:
        """All on one machine, `count` of each service."""
        everything = Group((*SERVICES, *SERVERS), 1, cores)
        return cls(
            dict.fromkeys(SERVICES, count), partitions, (everything,)
        )

    @classmethod
    def of_many(
        cls, count: int, partitions: int, cores: int, of_database: int
    ) -> Layout:
        """A machine for each instance and for each of three brokers, one for PostgreSQL."""
        groups = [Group((name,), count, cores) for name in SERVICES]
        groups.append(Group(("kafka",), 3, cores))
        groups.append(Group(("postgres",), 1, of_database))
        return cls(
            dict.fromkeys(SERVICES, count), partitions, tuple(groups)
        )


@dataclass
class Result:
    """`peak_lag`: pages that waited for a normalizer or a loader."""

    records: int
    seconds: float
    peak_lag: int
    busy: dict[str, float]  # share of what each can do, by name

    @property
    def records_per_s(self) -> float:
        return self.records / self.seconds


class Model:
    """One run over streams of so many pages each."""

    def __init__(
        self,
        costs: Costs,
        layout: Layout,
        pages_of_streams: Sequence[int],
        seed: int = 1,
    ) -> None:
        self._costs, self._layout = costs, layout
        self._pages = list(pages_of_streams)
        self._random = random.Random(seed)
        self._env = simpy.Environment()
        self._machines = dict(self._made_machines())
        self._busy: dict[str, float] = {}
        self._processes: dict[tuple[str, int], Any] = {}
        self._queues = {
            name: [
                simpy.Store(self._env)
                for _ in range(layout.instances[name])
            ]
            for name in ("normalizer", "loader")
        }
        self._left = sum(self._pages)
        self._peak = 0
        self._is_over = self._env.event()

    def _made_machines(self) -> Iterator[tuple[str, list[Any]]]:
        for group in self._layout.groups:
            machines = [
                simpy.Resource(self._env, group.cores)
                for _ in range(group.machines)
            ]
            for name in group.names:
                yield name, machines

    def run(self) -> Result:
        """Until all is stored."""
        streams = list(enumerate(self._pages))
        for number in range(self._layout.instances["extractor"]):
            own = streams[number :: self._layout.instances["extractor"]]
            self._env.process(self._extract(number, own))
        for number in range(self._layout.instances["normalizer"]):
            self._env.process(self._normalize(number))
        for number in range(self._layout.instances["loader"]):
            for _ in range(BATCHES_AT_ONCE):
                self._env.process(self._load(number))
        self._env.run(self._is_over)
        seconds = self._env.now
        return Result(
            sum(self._pages) * RECORDS_OF_PAGE,
            seconds,
            self._peak,
            {
                name: spent / seconds / self._cores_of(name)
                for name, spent in self._busy.items()
            },
        )

    def _cores_of(self, name: str) -> int:
        """That it can use: an instance of a service one."""
        capacity: int = sum(
            each.capacity for each in self._machines[name]
        )
        return min(capacity, self._layout.instances.get(name, capacity))

    def _work(self, name: str, pages: float, where: int) -> Any:
        """Hold a core as long as these pages take."""
        machines = self._machines[name]
        machine = machines[where % len(machines)]
        spread = self._random.uniform(1 - SPREAD, 1 + SPREAD)
        cost = self._costs.cpu_s[name] * RECORDS_OF_PAGE * pages * spread
        self._busy[name] = self._busy.get(name, 0.0) + cost
        with self._process(name, where).request() as own:
            yield own
            with machine.request() as turn:
                yield turn
                yield self._env.timeout(cost)

    def _process(self, name: str, where: int) -> Any:
        """Of an instance, which Python's lock keeps to one core; servers have no such bound."""
        if (name, where) not in self._processes:
            cores = 1 if name in SERVICES else MANY
            self._processes[name, where] = simpy.Resource(
                self._env, cores
            )
        return self._processes[name, where]

    def _extract(
        self, number: int, streams: list[tuple[int, int]]
    ) -> Any:
        yield self._env.timeout(self._costs.start_s)
        for stream, pages in streams:
            for _ in range(pages):
                yield from self._work("extractor", 1, number)
                self._env.process(
                    self._through_kafka("normalizer", stream)
                )

    def _through_kafka(self, target: str, stream: int) -> Any:
        partition = stream % self._layout.partitions
        yield from self._work("kafka", 1 / TOPICS, partition)
        yield self._env.timeout(self._random.uniform(0, FETCH_WAIT_S))
        queues = self._queues[target]
        queue = queues[partition % len(queues)]
        yield queue.put(stream)
        waiting = max(len(each.items) for each in queues)
        self._peak = max(self._peak, waiting)

    def _normalize(self, number: int) -> Any:
        queue = self._queues["normalizer"][number]
        while True:
            stream = yield queue.get()
            yield from self._work("normalizer", 1, number)
            self._env.process(self._through_kafka("loader", stream))

    def _load(self, number: int) -> Any:
        queue = self._queues["loader"][number]
        while True:
            yield queue.get()
            pages = 1
            while queue.items and pages < BATCH_PAGES:
                yield queue.get()
                pages += 1
            yield from self._work("loader", pages, number)
            yield from self._work("postgres", pages, 0)
            yield self._env.timeout(self._costs.commit_s)
            self._left -= pages
            if not self._left:
                self._is_over.succeed()
