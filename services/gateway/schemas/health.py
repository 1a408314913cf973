"""Bodies of the health endpoints and of GET /services, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from services.gateway.schemas.sources import Budget
from shared.messages.runs import RunStatus


class LastRun(BaseModel):
    """The newest run."""

    run_id: str
    status: RunStatus
    requested_at: datetime | None
    finished_at: datetime | None


class DatabaseHealth(BaseModel):
    """`latency_ms` of a trivial query."""

    connected: bool
    latency_ms: float | None


class KafkaHealth(BaseModel):
    """Whether commands can be sent."""

    connected: bool


class Gap(BaseModel):
    """Messages that were removed before `group` read them.

    Closed when every run that was open then has ended or is incomplete.
    """

    topic: str
    partition: int
    first_missing: int
    first_available: int
    group: str
    reason: str
    noticed_at: datetime
    closed_at: datetime | None


class Health(BaseModel):
    """`ok`, `degraded` or `unavailable`.

    degraded: something of `reasons` is the case. unavailable: the database cannot be reached;
    answered with 503.
    """

    status: str
    reasons: list[str] = Field(
        description="What is wrong, each as a code and a sentence"
    )
    database: DatabaseHealth
    kafka: KafkaHealth
    last_run: LastRun | None
    last_run_time: datetime | None
    data_gaps: list[Gap] = Field(
        description="The last gaps, newest first, open ones before closed ones"
    )
    lag: dict[str, int] | None = Field(
        description="Pages that wait, by consumer group; null while Kafka is unavailable"
    )
    budgets: dict[str, Budget] = Field(
        description="The call budget of each source that has one"
    )


class Probe(BaseModel):
    """Answer of the probes."""

    status: str


class Moment(BaseModel):
    """An instance in a minute that has ended at `time`."""

    time: datetime
    records_per_second: float
    memory_bytes: int
    waiting: int | None


class ServiceInstance(BaseModel):
    """A process of a service, as it told of itself last."""

    service: str = Field(
        description="extractor, normalizer, loader or gateway"
    )
    instance: str = Field(description="Host and name")
    version: str
    started_at: datetime
    seen_at: datetime = Field(description="When it told of itself last")
    alive: bool = Field(description="It did so in the last 15 seconds")
    ready: bool = Field(description="It makes progress")
    reason: str = Field(
        description="Why it is not ready; empty when it is"
    )
    memory_bytes: int = Field(description="Resident")
    cpu_seconds: float = Field(description="Since it was started")
    records: int = Field(
        description="Published, mapped or stored since it was started"
    )
    records_per_second: float = Field(description="In the last minute")
    waiting: int | None = Field(
        description="Messages that wait for it and others of its service; null: not known"
    )
    history: list[Moment] = Field(
        description="By minute, of the last hour, oldest first"
    )
