"""Bodies of the health endpoints, as the OpenAPI document shows them."""

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
