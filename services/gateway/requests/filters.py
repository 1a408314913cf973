"""Which series are meant: the same parameters, with the same meaning, wherever they are taken."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from services.gateway.database import Where
from services.gateway.schemas.data import Kind
from shared.messages.base import Source
from shared.names import meant

MAX_VALUES = 100
MAX_SYMBOL = 50  # characters
MAX_NAME = 200
NAME: dict[str, Any] = {
    "min_length": 1,
    "max_length": 500,
    "pattern": r"^[^\x00]+$",
}


def split(text: str | None) -> list[str] | None:
    """The values of a parameter, each once, in their order."""
    if text is None:
        return None
    return list(dict.fromkeys(each.strip() for each in text.split(",")))


def _bounded(characters: int) -> AfterValidator:
    """Each value of at most so many characters."""

    def check(text: str) -> str:
        values = split(text) or []
        if text.count(",") >= MAX_VALUES:
            raise ValueError(f"at most {MAX_VALUES} values are taken")
        if "" in values or "\0" in text:
            raise ValueError("a value is empty, or holds NUL")
        if any(len(each) > characters for each in values):
            raise ValueError(f"must have at most {characters} characters")
        return text

    return AfterValidator(check)


def _values(characters: int) -> WithJsonSchema:
    one = rf"[^\x00, ]{{1,{characters}}}"
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{one}(,{one}){{0,{MAX_VALUES - 1}}}$",
        }
    )


def _among(known: Iterable[str]) -> AfterValidator:
    names = [str(each) for each in known]

    def check(text: str) -> str:
        for each in split(text) or ():
            _refuse_other(each, names)
        return text

    return AfterValidator(check)


def _refuse_other(value: str, names: list[str]) -> None:
    """Raises ValueError."""
    if value not in names:
        raise ValueError(
            f"must be of {', '.join(names)}{meant(value, names)}"
        )


def _listed(known: type[StrEnum]) -> WithJsonSchema:
    one = f"({'|'.join(known)})"
    return WithJsonSchema(
        {"type": "string", "pattern": f"^{one}(,{one})*$"}
    )


_Text = Annotated[str, Field(max_length=500)]
Several = Annotated[str, _bounded(MAX_NAME), _values(MAX_NAME)]
Symbols = Annotated[str, _bounded(MAX_SYMBOL), _values(MAX_SYMBOL)]
Sources = Annotated[_Text, _among(Source), _listed(Source)]
Kinds = Annotated[_Text, _among(Kind), _listed(Kind)]


class SourceFilter(BaseModel):
    """All that is given must match. Several values stand with commas between: `csv,rss`."""

    source: Sources | None = Field(
        None, description="Such as `coinpaprika`"
    )
    dataset: str | None = Field(
        None,
        **NAME,
        description=(
            "Whose figures: a feed's name, a folder or file of CSV_DIR; of CoinPaprika `live` or "
            "`daily`"
        ),
    )
    kind: Kinds | None = Field(None, description="What a data point is")
    instrument: Several | None = Field(
        None, description="A coin's id, or a pair of a file"
    )
    currency: Several | None = Field(
        None, description="That prices are in, such as `USD`"
    )

    def values(self) -> dict[str, list[str] | None]:
        """What each column of a series may be; None: anything."""
        return {
            "source": split(self.source),
            "dataset": None if self.dataset is None else [self.dataset],
            "kind": split(self.kind),
            "instrument": split(self.instrument),
            "currency": split(self.currency),
        }

    def conditions(self) -> Where:
        """On the table `series`."""
        found = Where()
        for name, values in self.values().items():
            found.add_among(f'"{name}"', values)
        return found


class CoinFilter(SourceFilter):
    """With the coins."""

    symbol: Symbols | None = Field(
        None, description="Such as `btc` or `btc,eth`, in any case"
    )

    def symbols(self) -> list[str] | None:
        """In lower case."""
        return split(self.symbol and self.symbol.lower())

    def values(self) -> dict[str, list[str] | None]:
        return {"symbol": self.symbols(), **super().values()}


class IntervalFilter(SourceFilter):
    """With the interval of candles, where the answer has none of its own."""

    interval: Several | None = Field(
        None, description="Of candles, such as `1m`, `1h`, `1d`"
    )

    def values(self) -> dict[str, list[str] | None]:
        return {**super().values(), "interval": split(self.interval)}


class SeriesFilter(CoinFilter, IntervalFilter):
    """All that series are told apart by."""
