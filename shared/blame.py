"""Whether a message is to blame for an error, and what is then done with it.

An error over one message is met alike by every consumer: the message is tried once more, alone, and
then is a dead letter. What a connection, a disk or the memory has to answer for is no message's
fault: it is tried again, or ends the process, and nothing is acknowledged.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.errors import ConfigError, StuckError, TransientError
from shared.messages.serialization import UndecodableError
from shared.runtime import logs

NO_MESSAGE_IS_TO_BLAME = (
    ConfigError,
    ConnectionError,
    KafkaError,
    MemoryError,
    OSError,
    StuckError,
    TransientError,
)
MAX_SHOWN = 500  # characters of an error
log = logs.get(__name__)


class UnprocessableError(Exception):
    """A message that raised an error twice; its text is the last line of the traceback."""


def is_to_blame(error: BaseException) -> bool:
    """Whether an error came of what a message holds."""
    if isinstance(error, MessageSizeTooLargeError):
        return True  # what became of it does not fit
    is_ordinary = isinstance(error, Exception)
    return is_ordinary and not isinstance(error, NO_MESSAGE_IS_TO_BLAME)


def last_line(error: BaseException) -> str:
    """The last line of an error's traceback."""
    lines = traceback.format_exception_only(error)
    return lines[-1].strip()[:MAX_SHOWN]


async def try_twice(work: Callable[[], Awaitable[None]]) -> None:
    """Do the work on a message, once more where that fails.

    Raises UnprocessableError where it fails again; at once UndecodableError, and what no message is
    to blame for.
    """
    try:
        await work()
    except (UndecodableError, UnprocessableError):
        raise
    except Exception as error:
        if not is_to_blame(error):
            raise
        log.error(
            "message_failed", error=last_line(error), exc_info=error
        )
    else:
        return
    try:
        await work()
    except Exception as error:
        if not is_to_blame(error):
            raise
        raise UnprocessableError(last_line(error)) from error
