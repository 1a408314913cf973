"""Tells webhooks, again and again for a while; what cannot be told is a dead letter."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

import shared
from services.notifier.settings import NotifierSettings
from shared.access.webhook_secrets import secret_of, signed_headers
from shared.blame import last_line
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import Kind, Webhook
from shared.errors import TransientError
from shared.http.guarded import (
    BlockedAddressError,
    guarded_transport,
    no_cookies,
)
from shared.http.notifications import (
    Notification,
    notification_decoder,
)
from shared.kafka import publishing
from shared.kafka.gap_aware_consumer import GapAwareConsumer, publisher
from shared.messages.base import Stage
from shared.messages.headers import origin_headers
from shared.messages.run_events import DeliveryTried
from shared.messages.serialization import UndecodableError, decode
from shared.messages.topics import (
    DEAD_LETTERS,
    NOTIFICATIONS,
    RUN_EVENTS,
    SENDER_GROUP,
)
from shared.monitoring import metrics
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop
from shared.runtime.offset_tracker import OffsetTracker
from shared.values.times import from_ms, now_ms
from shared.values.urls import without_secrets

MAX_TAKEN = 5_000  # that are told now or wait to be told again
MAX_OF_ONE = 100  # of one webhook; more are given up at once, and can be sent again
AT_ONCE = 4  # to one webhook
CONNECTIONS = 400
FACTOR = 4.0  # by which each wait is longer than the one before
GONE = 410
log = logs.get(__name__)


class GivenUpError(Exception):
    """A webhook could not be told, and is not tried any more."""


@dataclass(frozen=True)
class Answered:
    """What came of one attempt."""

    status: int | None = None
    error: str | None = None

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def result(self, *, is_over: bool) -> str:
        """For the metrics."""
        if self.is_good:
            return "arrived"
        return "given_up" if is_over else "again"

    @property
    def is_final(self) -> bool:
        """Whether another attempt would be answered alike."""
        return self.status == GONE


class Sender(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """At least once: what is at work when a process ends is told again by another."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        known: SettingLog,
        settings: NotifierSettings,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._known = known
        self._settings = settings
        self._client = _client(settings)
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE)
        )
        self._trackers: defaultdict[TopicPartition, OffsetTracker] = (
            defaultdict(OffsetTracker)
        )
        self._jobs: defaultdict[
            TopicPartition, set[asyncio.Task[None]]
        ] = defaultdict(set)
        self._crash: BaseException | None = None
        self._waiting: Counter[str] = Counter()  # by webhook
        self._reader = GapAwareConsumer(
            consumer, SENDER_GROUP, publisher(producer, "notifier")
        )
        consumer.subscribe([NOTIFICATIONS.name], listener=self)

    def held(self) -> set[TopicPartition]:
        return set(self._consumer.assignment())

    def is_working(self) -> bool:
        return any(self._jobs.values())

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                if self._crash is not None:
                    raise self._crash  # the service is started again
                if sum(map(len, self._jobs.values())) >= MAX_TAKEN:
                    await sleep_or_stop(stop, 0.1)
                    continue
                batches = await self._reader.getmany(
                    timeout_ms=500, max_records=50
                )
                for at, records in batches.items():
                    for record in records:
                        self._begin(at, record)
        finally:
            await self._give_up(list(self._jobs))
            await self._client.aclose()

    def _begin(self, at: TopicPartition, record: Any) -> None:
        self._trackers[at].begin(record.offset)
        job = asyncio.create_task(self._work(at, record))
        self._jobs[at].add(job)
        job.add_done_callback(partial(self._ended, at))

    def _ended(self, at: TopicPartition, job: asyncio.Task[None]) -> None:
        self._jobs[at].discard(job)
        if not job.cancelled() and job.exception() is not None:
            self._crash = job.exception()

    async def _work(self, at: TopicPartition, record: Any) -> None:
        reason: Exception | None = None
        try:
            await self._tell_in_turn(
                decode(notification_decoder, record.value)
            )
        except (UndecodableError, GivenUpError) as error:
            reason = error
        except Exception as error:
            # It is of one message, which must not hold up the others.
            log.error("delivery_crashed", exc_info=error)
            reason = GivenUpError(last_line(error))
        if reason is not None:
            await _until_taken(partial(self._dead_letter, record, reason))
        commit = self._trackers[at].finish(record.offset)
        if commit is None:
            return
        try:
            await self._reader.commit({at: commit})
        except KafkaError as error:  # told again, with the same id
            log.warning("commit_failed", error=repr(error))

    async def _tell_in_turn(self, told: Notification) -> None:
        """Raises GivenUpError, at once where many wait for the same webhook."""
        waiting = self._waiting
        if waiting[told.webhook] >= MAX_OF_ONE:
            raise _too_many(told)
        waiting[told.webhook] += 1
        try:
            await self._tell(told)
        finally:
            waiting[told.webhook] -= 1

    async def _tell(self, told: Notification) -> None:
        """Raises GivenUpError."""
        wait = self._settings.webhook_retry_s
        most = self._settings.webhook_attempts
        for attempt in range(1, most + 1):
            webhook = self._webhook(told.webhook)
            if webhook is None:
                return  # it was taken out: nobody wants to know
            async with self._places[told.webhook]:
                found = await self._post(told, webhook)
            is_over = found.is_good or found.is_final or attempt == most
            metrics.deliveries.labels(found.result(is_over=is_over)).inc()
            await self._report(told, webhook, attempt, found, is_over)
            if found.is_good:
                return
            if is_over:
                raise _given_up(told, attempt, found)
            await asyncio.sleep(wait)
            wait *= FACTOR

    def _webhook(self, name: str) -> Webhook | None:
        value = self._known.value(Kind.WEBHOOK.named(name))
        return value if isinstance(value, Webhook) else None

    async def _post(
        self, told: Notification, webhook: Webhook
    ) -> Answered:
        body = body_of(told)
        headers = self._headers(told, webhook, body)
        try:
            # What it says is not read: the status is the answer.
            async with (
                asyncio.timeout(self._settings.webhook_timeout_s),
                self._client.stream(
                    "POST", webhook.url, content=body, headers=headers
                ) as response,
            ):
                return Answered(response.status_code)
        except TimeoutError:
            limit = self._settings.webhook_timeout_s
            return Answered(error=f"it did not answer within {limit:g} s")
        except BlockedAddressError as error:
            return Answered(error=f"{error}: refused")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Answered(error=last_line(error))

    def _headers(
        self, told: Notification, webhook: Webhook, body: bytes
    ) -> dict[str, str]:
        installation = self._settings.signing_secret()
        secret = secret_of(installation, told.webhook, webhook.salt)
        return signed_headers(secret, told.id, int(time.time()), body)

    async def _report(
        self,
        told: Notification,
        webhook: Webhook,
        attempt: int,
        found: Answered,
        is_over: bool,  # noqa: FBT001
    ) -> None:
        event = DeliveryTried(
            notification_id=told.id,
            webhook=told.webhook,
            event=told.event,
            url=without_secrets(webhook.url),
            attempt=attempt,
            at=now_ms(),
            data=told.data,
            status=found.status,
            error=found.error,
            is_over=is_over,
        )
        await _until_taken(
            partial(
                publishing.publish,
                self._producer,
                RUN_EVENTS,
                event,
                key=told.id,
                service="notifier",
            )
        )

    async def _dead_letter(self, record: Any, error: Exception) -> None:
        headers = origin_headers(
            record.topic,
            record.partition,
            record.offset,
            error,
            Stage.NOTIFY,
        )
        await publishing.forward(
            self._producer, DEAD_LETTERS.name, record, headers
        )

    async def on_partitions_revoked(
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        await self._give_up(list(revoked))

    async def on_partitions_assigned(
        self, assigned: Iterable[TopicPartition]
    ) -> None:
        """Nothing to prepare."""

    async def _give_up(self, partitions: list[TopicPartition]) -> None:
        """What is at work there comes again elsewhere."""
        jobs = [job for at in partitions for job in self._jobs[at]]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for at in partitions:
            self._trackers.pop(at, None)


def _too_many(told: Notification) -> GivenUpError:
    what = f"webhook {told.webhook} was not told {told.event}"
    return GivenUpError(
        f"{what}: {MAX_OF_ONE} deliveries wait for it already"
    )


def _given_up(
    told: Notification, attempts: int, found: Answered
) -> GivenUpError:
    reason = found.error or f"it answered {found.status}"
    what = f"webhook {told.webhook} was not told {told.event}"
    return GivenUpError(f"{what} in {attempts} attempt(s): {reason}")


def _client(settings: NotifierSettings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=guarded_transport(
            allow_private=settings.allow_private_urls,
            connections=CONNECTIONS,
        ),
        follow_redirects=False,
        cookies=no_cookies(),
        timeout=settings.webhook_timeout_s,
        headers={
            "user-agent": f"crypto-ingest/{shared.__version__}",
            "content-type": "application/json",
        },
    )


def body_of(told: Notification) -> bytes:
    """As Standard Webhooks has it: `type`, `timestamp`, `data`."""
    return json.dumps(
        {
            "type": told.event,
            "timestamp": from_ms(told.at).isoformat(),
            "data": told.data,
        },
        ensure_ascii=False,
        default=str,
    ).encode()


async def _until_taken(work: Any) -> None:
    """Again and again while Kafka is away."""
    while True:
        try:
            await work()
        except TransientError as error:
            log.warning("publishing_postponed", error=str(error))
            await asyncio.sleep(1)
        else:
            return
