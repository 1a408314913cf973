"""Messages to bytes and back.

A message that cannot be decoded raises `UndecodableError`; what to do with it is the reader's
decision (a dead letter).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from shared.errors import IngestError
from shared.http.notifications import notification_decoder
from shared.messages.checkpoints import Checkpoint
from shared.messages.commands import Command
from shared.messages.pages import RawPage, ReplayPage, UnifiedPage
from shared.messages.run_events import RunEvent
from shared.messages.tasks import Task
from shared.messages.topics import MAX_MESSAGE_BYTES

T = TypeVar("T")
MAX_EXPONENT = 1_000
_encoder = msgspec.json.Encoder(decimal_format="number")

command_decoder = msgspec.json.Decoder(Command)
task_decoder = msgspec.json.Decoder(Task)
raw_page_decoder = msgspec.json.Decoder(RawPage)
replay_page_decoder = msgspec.json.Decoder(ReplayPage)
unified_page_decoder = msgspec.json.Decoder(UnifiedPage)
run_event_decoder = msgspec.json.Decoder(RunEvent)
checkpoint_decoder = msgspec.json.Decoder(Checkpoint)


def exact_number(text: str) -> Decimal | int | str:
    """A fraction as Decimal, in the one spelling that JSONB would give back.

    So `1e5` is 100000 and `-0.0` is 0.0. One beyond all sense (`1e200000`, which JSONB refuses)
    stays a text, for a mapping to reject.
    """
    number = Decimal(text)
    if abs(number.adjusted()) >= MAX_EXPONENT:
        return text
    if int(number.as_tuple().exponent) > 0:
        return int(number)
    return number or abs(number)


# Numbers of money stay exact: a float never stands between a source and NUMERIC.
exact_decoder = msgspec.json.Decoder(float_hook=exact_number)


MAX_DEPTH = 60
# Messages of which parts are answered as they are; pages are kept, and shown one by one.
_SHOWN = (
    command_decoder,
    task_decoder,
    run_event_decoder,
    checkpoint_decoder,
    notification_decoder,
)
# None of ours comes near: what is larger would take many times its size when it is read.
_MAX_BYTES = {
    id(command_decoder): 512 * 1024,
    id(task_decoder): 2 << 20,
    id(run_event_decoder): 2 << 20,
    id(checkpoint_decoder): 4 << 20,
    id(notification_decoder): 64 * 1024,
}
# Of one message, by the marks that stand before each: a list of empty objects takes, when it is
# read, thirty times its bytes.
_MAX_VALUES = {
    id(raw_page_decoder): 400_000,
    id(unified_page_decoder): 800_000,
    id(replay_page_decoder): 400_000,
}
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
_DEEPER = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


class UndecodableError(IngestError):
    """The bytes are not a message of the expected kind."""


def encode(value: Any) -> bytes:
    """JSON bytes of a message or plain value. Decimals are written as JSON numbers, exactly."""
    return _encoder.encode(value)


def raw_json(value: Any) -> msgspec.Raw:
    """A value as JSON that later encoders copy as it is."""
    return msgspec.Raw(_encoder.encode(value))


def to_python(value: msgspec.Raw) -> Any:
    """What `raw_json` wrote, as plain Python values; fractions as Decimal."""
    return exact_decoder.decode(value)


def decode(decoder: msgspec.json.Decoder[T], data: bytes | None) -> T:
    """Decode one message; raises UndecodableError with a reason that names the place."""
    if data is None:
        raise UndecodableError("the message is a tombstone (no value)")
    if not data:
        raise UndecodableError("the message is empty")
    most = _MAX_BYTES.get(id(decoder), MAX_MESSAGE_BYTES)
    if len(data) > most:
        message = (
            f"the message has {len(data)} bytes, at most {most} are read"
        )
        raise UndecodableError(f"not a {_wanted(decoder)}: {message}")
    try:
        if not data.isascii():
            data.decode()  # msgspec does not look into parts that are kept as they are
        if decoder in _SHOWN:
            _refuse_depth(data)
        if id(decoder) in _MAX_VALUES:
            _refuse_values(data, _MAX_VALUES[id(decoder)])
        return decoder.decode(data)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        ValueError,
        RecursionError,
    ) as error:
        raise UndecodableError(
            f"not a {_wanted(decoder)}: {error}"
        ) from error


def _refuse_values(data: bytes, most: int) -> None:
    """Raises ValueError for more values than the memory of a service holds."""
    count = sum(map(data.count, (b",", b"[", b"{")))
    if count > most:
        raise ValueError(
            f"it holds up to {count} values, at most {most} are read"
        )


def _refuse_depth(data: bytes) -> None:
    """Raises ValueError for lists and objects that lie deeper in each other than can be shown."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for mark in _MARKS.finditer(data):
        depth += _DEEPER.get(mark[0], 0)
        if depth > MAX_DEPTH:
            message = (
                f"its parts lie more than {MAX_DEPTH} deep in each other"
            )
            raise ValueError(message)


def _wanted(decoder: msgspec.json.Decoder[Any]) -> str:
    members: Iterable[Any] = getattr(
        decoder.type, "__args__", (decoder.type,)
    )
    return " | ".join(
        getattr(member, "__name__", str(member)) for member in members
    )
