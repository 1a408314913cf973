"""Errors, grouped by what the caller does about them.

IngestError
├── ConfigError          stop: a person must change a setting (exit code 78, not restarted)
├── TransientError       try again later; nothing is acknowledged
├── StuckError           this process makes no progress: it ends and is started again
├── TaskError            the task fails with `code`; its checkpoint stays where it is
├── BadValueError        the record becomes a dead letter that names the field
└── UnmappableError      the same for a whole page or file
"""

CONFIG_EXIT_CODE = (
    78  # EX_CONFIG of sysexits.h: the supervisor does not restart it
)
POISON_EXIT_CODE = (
    70  # EX_SOFTWARE: ended on purpose without acknowledging; restarted
)


class IngestError(Exception):
    """Base of every error this product raises on purpose."""


class ConfigError(IngestError):
    """A setting is missing or invalid. The message names the variable."""


class TransientError(IngestError):
    """A dependency is unavailable. Nothing was acknowledged; the work may be tried again."""


class StuckError(IngestError):
    """The process has work and does none of it.

    Nothing was acknowledged; whoever takes over does it again.
    """


class TaskError(IngestError):
    """A task cannot go on. `code` is a stable word for programs, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadValueError(IngestError):
    """A value that must not be guessed at.

    `field` names it, `reason` is a stable word for programs.
    """

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


class UnmappableError(IngestError):
    """Nothing of a page or file can be mapped, for one reason.

    `field` names what is missing or ambiguous.
    """

    def __init__(
        self, reason: str, message: str, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
