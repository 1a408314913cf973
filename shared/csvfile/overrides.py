"""`CSV_DIR/mapping.yaml`: what a person says about files that do not say it themselves."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import TaskError

NAME = "mapping.yaml"
MAX_BYTES = 1 << 20
Role = Literal["time", "date", "open", "high", "low", "close", "price", "volume", "market_cap", "symbol", "currency"]
DateOrder = Literal["day_first", "month_first", "year_first"]


class Hints(BaseModel):
    """What is said about the files that `file` matches. Everything that is not said is concluded from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = "*"
    symbol: str | None = Field(default=None, pattern=r"^[A-Za-z0-9$.]{1,20}$")
    currency: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,10}$")
    interval: str | None = Field(default=None, pattern=r"^\d{1,4}[smhdwM]$")
    dates: DateOrder | None = None
    timezone: str | None = None
    decimal: Literal[".", ","] | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: Literal["utf-8", "cp1252"] | None = None
    header_rows: int | None = Field(default=None, ge=0, le=4)
    columns: dict[Role, str | int] = {}

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"{value!r} is no time zone such as Europe/Berlin") from None
        return value

    def said(self) -> dict[str, Any]:
        """Only what was said, without `file`."""
        return self.model_dump(exclude={"file"}, exclude_defaults=True)


class MappingFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[Hints] = []

    def hints_for(self, path: str) -> Hints:
        """All entries that match the path, later ones over earlier ones."""
        said: dict[str, Any] = {}
        for entry in self.files:
            if fnmatch.fnmatchcase(path, entry.file) or fnmatch.fnmatchcase(path.rpartition("/")[2], entry.file):
                said.update(entry.said())
        return Hints(**said)


def load(root: Path) -> MappingFile:
    """The mapping file of CSV_DIR, empty where there is none. Raises TaskError `bad_mapping` that says what is wrong where."""
    path = root / NAME
    try:
        text = path.read_text("utf-8") if path.stat().st_size <= MAX_BYTES else None
    except FileNotFoundError:
        return MappingFile()
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError("bad_mapping", f"{NAME} cannot be read: {error}") from error
    if text is None:
        raise TaskError("bad_mapping", f"{NAME} has more than {MAX_BYTES} bytes")
    try:
        return MappingFile.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise TaskError("bad_mapping", f"{NAME} is no YAML: {' '.join(str(error).split())[:300]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise TaskError("bad_mapping", f"{NAME}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
