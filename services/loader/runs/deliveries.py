"""What webhooks were told, and what came of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func
from sqlalchemy.dialects.postgresql import insert

from shared.messages.run_events import DeliveryTried
from shared.tables import deliveries
from shared.values.times import from_ms

MAX_ERROR = 500  # characters


def on_tried(
    transaction: Connection, event: DeliveryTried, _at: datetime
) -> None:
    """The newest attempt of each; one that comes late changes nothing that is over."""
    is_good = _has_arrived(event)
    at = from_ms(event.at)
    values = {
        "attempts": event.attempt,
        "status": event.status,
        "error": event.error and event.error[:MAX_ERROR],
        "tried_at": at,
        "delivered_at": at if is_good else None,
        "given_up_at": at if event.is_over and not is_good else None,
    }
    row = {
        "id": event.notification_id,
        "webhook": event.webhook,
        "type": event.event,
        "url": event.url,
        "data": event.data,
        "created_at": at,
        **values,
    }
    new = insert(deliveries).values(row)
    kept = new.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **values,
            "attempts": func.greatest(
                deliveries.c.attempts, event.attempt
            ),
        },
        where=deliveries.c.delivered_at.is_(None),
    )
    transaction.execute(kept)


def _has_arrived(event: DeliveryTried) -> bool:
    return event.status is not None and 200 <= event.status < 300
