"""What the brokers of one stack must agree on, for good: it lies beside their disks."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Cluster:
    """`directories`: ids of the controllers' first disks; `formatted`: brokers that had one."""

    id: str
    directories: list[str]
    formatted: list[int] = field(default_factory=list)

    @classmethod
    def new(cls, brokers: int) -> Cluster:
        return cls(_kafka_id(), [_kafka_id() for _ in range(brokers)])

    @classmethod
    def read(cls, path: Path) -> Cluster | None:
        return (
            cls(**json.loads(path.read_text())) if path.exists() else None
        )

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    def quorum(self, number: int, addresses: list[str]) -> list[str]:
        """What StorageTool is told of the controllers, when it formats the disk of a broker.

        One that had another disk before is no member any more: it joins with the new one.
        """
        if number in self.formatted:
            return ["--no-initial-controllers"]
        members = zip(addresses, self.directories, strict=True)
        return [
            "--initial-controllers",
            ",".join(
                f"{each}@{address}:{directory}"
                for each, (address, directory) in enumerate(members, 1)
            ),
        ]


def _kafka_id() -> str:
    """A UUID as Kafka writes it. Its tools take none that begins with a hyphen."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()
    return "C" + text.rstrip("=")[1:]
