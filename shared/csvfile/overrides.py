"""`CSV_DIR/mapping.yaml`: what a person says about files that do not say it themselves."""

from __future__ import annotations

import fnmatch
from collections import Counter
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.csvfile import folder
from shared.csvfile.folder import CsvFile, Root
from shared.csvfile.meaning.number_formats import PLACEHOLDER, ROLES
from shared.errors import TaskError

NAME = "mapping.yaml"
MAX_BYTES = 256 * 1024
MAX_ENTRIES = 2_000
MAX_PROBLEM = 200  # characters of what YAML says
SAMPLE = "made-up-sample"
Encoding = Literal[
    "utf-8", "cp1252", "cp949", "gb18030", "cp932", "cp1251"
]
DateOrder = Literal["day_first", "month_first", "year_first"]


class Overrides(BaseModel):
    """What is given for the files that `file` matches. All else is inferred from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(default="*", max_length=500)
    symbol: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9$.]{1,20}$"
    )
    currency: str | None = Field(
        default=None, pattern=r"^[A-Za-z]{2,10}$"
    )
    interval: str | None = Field(
        default=None, pattern=r"^\d{1,4}[smhdwM]$"
    )
    dates: DateOrder | None = None
    timezone: str | None = None
    decimal: Literal[".", ","] | None = None
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1
    )
    encoding: Encoding | None = None
    header_rows: StrictInt | None = Field(default=None, ge=0, le=4)
    columns: dict[str, str | int | None] = {}
    ignore: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _refuse_placeholders(cls, values: Any) -> Any:
        """What a refusal offers and nobody filled in."""
        if not isinstance(values, dict):
            raise ValueError(  # noqa: TRY004  pydantic reports no TypeError
                f"{values!r} is no entry: write `- file: …`, and below it what is given"
            )
        columns = values.get("columns")
        given = {
            **values,
            **(columns if isinstance(columns, dict) else {}),
        }
        for name, value in given.items():
            if not _is_utf8(f"{name}{value}"):
                raise ValueError(
                    "it holds half a character: write it anew"
                )
            if value == PLACEHOLDER:
                raise ValueError(
                    f"{name} is still {PLACEHOLDER}: fill it in, or leave the line out"
                )
        return values

    @field_validator("columns")
    @classmethod
    def _roles(
        cls, value: dict[str, str | int | None]
    ) -> dict[str, str | int | None]:
        """A role and the column that has it; `null` leaves a role or a column out."""
        for name, column in value.items():
            if column is not None and name not in ROLES:
                raise ValueError(
                    f"{name!r} is no role of a column: use {', '.join(ROLES)}, or `{name}: null` "
                    "to leave the column out"
                )
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                message = (
                    f"{value!r} is not a time zone such as Europe/Berlin"
                )
                raise ValueError(message) from None
        return value

    def given(self) -> dict[str, Any]:
        """Only what was given, without `file`."""
        return self.model_dump(exclude={"file"}, exclude_defaults=True)


class MappingFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[Overrides] = Field(default=[], max_length=MAX_ENTRIES)

    def overrides_for(self, path: str) -> Overrides:
        """All entries that match the path, later ones over earlier ones."""
        given: dict[str, Any] = {}
        columns: dict[str, str | int | None] = {}
        for entry in self.files:
            if _matches(path, entry.file):
                given |= entry.model_dump(
                    exclude={"file"}, exclude_unset=True
                )
                columns |= entry.columns
        return Overrides(**{**given, "columns": columns})


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _matches(path: str, pattern: str) -> bool:
    """Whether an entry is for a path: as a whole, or its last part. `*` and `?` stand for more.

    With a slash before it, a pattern means the path as a whole alone.
    """
    literal = pattern.replace("[", "[[]")
    if literal.startswith("/"):
        return fnmatch.fnmatchcase(path, literal[1:])
    last = path.rpartition("/")[2]
    return fnmatch.fnmatchcase(path, literal) or fnmatch.fnmatchcase(
        last, literal
    )


def load(root: Root) -> MappingFile:
    """The mapping file of CSV_DIR, empty where there is none.

    Raises TaskError `bad_mapping` that says what is wrong where.
    """
    found = _known(text_of(root))
    if isinstance(found, TaskError):
        raise TaskError(found.code, found.message)
    return found


@lru_cache(maxsize=4)
def _known(text: str) -> MappingFile | TaskError:
    """What a text says, or why it says nothing: it is asked for by every task."""
    try:
        return parsed(text)
    except TaskError as error:
        return error


def parsed(text: str) -> MappingFile:
    """Raises TaskError `bad_mapping`."""
    try:
        return MappingFile.model_validate(
            yaml.load(text, _UniqueKeys) or {}  # noqa: S506  it is a safe loader
        )
    except RecursionError:
        message = f"{NAME} is nested too deep to be read"
        raise TaskError("bad_mapping", message) from None
    except yaml.YAMLError as error:
        message = f"{NAME} is not valid YAML: {_shown(error)}"
        raise TaskError("bad_mapping", message) from error
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise TaskError("bad_mapping", f"{NAME}: {at}: {said}") from error
    except ValueError as error:  # a number that no computer reads
        message = f"{NAME} holds a value that cannot be read: {str(error)[:MAX_PROBLEM]}"
        raise TaskError("bad_mapping", message) from error


def _shown(error: yaml.YAMLError) -> str:
    """What is wrong and where, without what stands there."""
    problem = getattr(error, "problem", None) or "it cannot be read"
    mark = getattr(error, "problem_mark", None)
    at = f" in line {mark.line + 1}" if mark is not None else ""
    return f"{problem[:MAX_PROBLEM]}{at}"


def wanted_files(root: Root) -> list[CsvFile]:
    """The files of CSV_DIR that are read: all, while the mapping file is wrong.

    The made-up sample only while there is nothing else.
    """
    return [file for file, _ in wanted(root)]


def wanted(root: Root) -> list[tuple[CsvFile, Overrides]]:
    """The files that are read, each with what is given for it: nothing by a file that is wrong."""
    try:
        mapping = load(root)
    except TaskError:
        mapping = MappingFile()
    found = [
        (file, mapping.overrides_for(file.path))
        for file in folder.listed(root)
    ]
    taken = [each for each in found if not each[1].ignore]
    own = [each for each in taken if each[0].dataset != SAMPLE]
    return own or taken


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would drop the first in silence.

    And references, a few of which can stand for more than fits into memory.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                problem="references (`*name`) are not read: write it out",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002  as PyYAML has it
    ) -> dict[Any, Any]:
        keys = Counter(str(key.value) for key, _ in node.value)
        name, count = max(
            keys.items(), key=itemgetter(1), default=("", 0)
        )
        if count > 1:
            raise _twice(name, node)
        return super().construct_mapping(node, deep)


def _twice(name: str, node: yaml.MappingNode) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(
        problem=f"{name!r} stands twice: put all entries below one",
        problem_mark=node.start_mark,
    )


def text_of(root: Root) -> str:
    """Raises TaskError `bad_mapping`."""
    data = folder.place_of(root).text(NAME, MAX_BYTES)
    if data is None:
        return ""
    if len(data) > MAX_BYTES:
        message = f"{NAME} has more than {MAX_BYTES} bytes"
        raise TaskError("bad_mapping", message)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"{NAME} is not UTF-8 at byte {error.start}"
        raise TaskError("bad_mapping", message) from error
