"""What webhooks are told."""

from __future__ import annotations

import msgspec

from shared.messages.base import Id, Json, Message, Millis, Name


class Notification(Message, frozen=True, tag="Notification"):
    """One event for one webhook. `id`: the same whenever the same is told again."""

    id: Id
    webhook: Name
    event: Name
    at: Millis
    data: Json


notification_decoder = msgspec.json.Decoder(Notification)
