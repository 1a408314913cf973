"""What a CSV file is, concluded from what the extractor found: the path, the header, the first rows and the evidence over all rows.

A pure function of a page's context, so that a page of long ago is read by what its file showed then, also by a better plan.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from shared.csvfile import number_formats
from shared.csvfile.column_names import OHLC, Named, key
from shared.csvfile.column_stats import of_rows
from shared.csvfile.columns import NUMBER_ROLES, PRICE_ROLES, Column, is_coin, ohlc_by_cells, read_columns, time_columns
from shared.csvfile.schema import Json, Plan, Row, Series, moment_of
from shared.errors import BadValueError, UnmappableError
from shared.values.symbols import FIAT, Pair, pair_from_name
from shared.values.times import timestamp


def conclude(context: Json) -> Plan:
    """The plan of a file. Raises UnmappableError that says what is missing or ambiguous, and what to do."""
    return _Conclusion(context).plan()


_TICKER = re.compile(r"[A-Z][A-Z0-9]{1,9}")


class _Conclusion:
    """The steps towards a plan; `reasons` grows with them."""

    def __init__(self, context: Json) -> None:
        self.path, self.said = str(context.get("path", "")), context.get("mapping") or {}
        self.delimiter = str(context.get("delimiter", ","))
        rows: list[Row] = context.get("sample") or []
        # Pages from before there was evidence have the first rows only.
        self.evidence = context.get("evidence") or of_rows(rows, len(context.get("columns") or (rows[0] if rows else ())))
        self.columns = read_columns(context, self.evidence)
        self.sample: list[Row] = [row for row in rows if len(row) == len(self.columns)]
        self.preamble: list[str] = context.get("preamble") or []
        self.has_header = bool(context.get("columns"))
        self.reasons: list[Json] = []
        self.by_person = self._by_person()

    def because(self, what: str, value: object, why: str, *columns: Column) -> None:
        self.reasons.append(
            {"what": what, "is": value, "because": why, **({"columns": [column.shown for column in columns]} if columns else {})}
        )

    def plan(self) -> Plan:
        time, date = self._time()
        order, zone = self._dates(date or time)
        is_excel = date is None and time.is_excel()
        taken = {time.position, *([date.position] if date else [])}
        series, symbol = self._series(taken)
        currency = self.by_person.get("currency") or next((column for column in self.columns if column.named.role == "currency"), None)
        interval, why = number_formats.interval_of(
            self.path, self.sample, lambda row: moment_of(row, time.position, date.position if date else None, order, zone, is_excel=is_excel),
            self.said.get("interval"),
        )  # fmt: skip
        if interval:
            self.because("interval", interval, why)
        return Plan(
            len(self.columns), time.position, date.position if date else None, order, zone, is_excel, self._decimals(series), series,
            symbol.position if symbol else None, currency.position if currency else None, self._fallback_currency(), interval, self.reasons,
            self._unused(series, [time, date, symbol, currency]),
        )  # fmt: skip

    def _unused(self, series: list[Series], others: list[Column | None]) -> list[str]:
        used = {at for each in series for at in each.columns.values()} | {column.position for column in others if column}
        return [column.shown for column in self.columns if column.position not in used]

    # -- times --------------------------------------------------------------------------------------------------------

    def _by_person(self) -> dict[str, Column]:
        """Columns that the mapping file names, by name or by number from 1."""
        found = {}
        for role, wanted in (self.said.get("columns") or {}).items():
            column = next(
                (
                    column
                    for column in self.columns
                    if (column.position + 1 == wanted if isinstance(wanted, int) else key(column.name) == key(wanted))
                ),
                None,
            )
            if column is None:
                raise UnmappableError(
                    "bad_mapping", f"{self.path}: mapping.yaml says that {role} is column {wanted!r}, which is not there", role
                )
            found[role] = column
        return found

    def _time(self) -> tuple[Column, Column | None]:
        if "time" in self.by_person:
            self.because("time", "column", "mapping.yaml says so", self.by_person["time"])
            return self.by_person["time"], self.by_person.get("date")
        found = time_columns(self.columns)
        if found is None:
            raise UnmappableError("unknown_columns", f"{self.path}: no column is a time (date, time, timestamp …); {self._shown()}", "time")
        time, date, why = found
        self.because("time", "column" if date is None else "columns", why, *([date] if date else []), time)
        return time, date

    def _dates(self, column: Column) -> tuple[str | None, ZoneInfo | None]:
        order, why = number_formats.date_order(self.path, column.shown, column.evidence, self.said.get("dates"))
        if order:
            self.because("dates", order, why, column)
        zone = self.said.get("timezone")
        return order, ZoneInfo(zone) if zone else None

    # -- series -------------------------------------------------------------------------------------------------------

    def _series(self, taken: set[int]) -> tuple[list[Series], Column | None]:
        symbol = self._symbol_column(taken)
        groups = self._grouped(taken | ({symbol.position} if symbol else set()))
        whole = None if symbol else self._pair_of_file()
        found = [series for (coin, currency), columns in groups.items() if (series := self._one(coin, currency, columns, whole, symbol))]
        if not found:
            found = [self._by_cells(taken | ({symbol.position} if symbol else set()), whole, symbol)]
        self._require_pair(found, symbol)
        return found, symbol

    def _symbol_column(self, taken: set[int]) -> Column | None:
        if self.said.get("symbol"):
            return None
        if "symbol" in self.by_person:
            return self.by_person["symbol"]
        named = [
            column for column in self.columns if column.named.role == "symbol" and column.position not in taken and column.holds_symbols()
        ]
        best = next(
            (column for column in named if key(column.name) not in ("market", "asset", "instrument", "base", "name", "id")),
            next(iter(named), None),
        )
        if best is not None:
            values = best.evidence.get("values")
            self.because("symbol", "column", f"its cells are {', '.join(values[:5])}" if values else "its cells are symbols", best)
        return best

    def _grouped(self, taken: set[int]) -> dict[tuple[str | None, str | None], dict[str, Column]]:
        """Columns of numbers by the coin and the currency in their names; roles that a person gave come first."""
        groups: dict[tuple[str | None, str | None], dict[str, Column]] = {}
        if roles := {role: column for role, column in self.by_person.items() if role in NUMBER_ROLES}:
            groups[None, None] = dict(roles)
        usable = [
            column for column in self.columns if column.position not in taken and column.holds_numbers() and column not in roles.values()
        ]
        quotes = {column.named.currency for column in usable if column.named.role in PRICE_ROLES and column.named.symbol is None}
        usable += self._more_coins(usable)
        are_coins = len(quotes) > 1 and all(map(is_coin, quotes))  # price_btc, price_eth: coins; price_usd, price_btc: currencies
        for column in usable:
            named = column.named
            role = named.role if named.role in NUMBER_ROLES else "price" if named.symbol and named.role is None else None
            if role is None:
                continue
            group = (
                (named.currency, None) if are_coins and is_coin(named.currency) and named.symbol is None else (named.symbol, named.currency)
            )
            if role in ("volume", "quote_volume") and named.symbol is None:
                role, group = self._volume(role, column, groups)
            groups.setdefault(group, {}).setdefault(role, column)
        return groups

    def _more_coins(self, usable: list[Column]) -> list[Column]:
        """Beside several columns that are named by a coin, those named by a symbol that nobody knows."""
        known = [column for column in usable if column.named.symbol and column.named.role is None and len(column.name.split()) == 1]
        unknown = [column for column in usable if column.named == Named() and _TICKER.fullmatch(column.name.strip())]
        return [dataclasses.replace(column, named=Named(None, column.name.strip().lower())) for column in unknown if len(known) > 1]

    def _volume(
        self, role: str, column: Column, groups: dict[tuple[str | None, str | None], dict[str, Column]]
    ) -> tuple[str, tuple[str | None, str | None]]:
        """`Volume BTC` is in the coin, `Volume USD` in the currency; both belong to the prices beside them."""
        currency = column.named.currency
        group = next((group for group, columns in groups.items() if any(role in columns for role in PRICE_ROLES)), (None, None))
        return ("quote_volume" if currency in FIAT else role), group

    def _one(
        self, coin: str | None, currency: str | None, columns: dict[str, Column], whole: Pair | None, symbol: Column | None
    ) -> Series | None:
        roles = {role: column.position for role, column in columns.items()}
        if not any(role in roles for role in OHLC) and "price" not in roles:
            return None
        if "close" not in roles and "price" in roles and all(role in roles for role in ("open", "high", "low")):
            roles["close"] = roles.pop("price")  # Investing.com's word for it
        if not all(role in roles for role in OHLC):
            best = next((role for role in ("price", "close") if role in roles), None)
            if best is None:
                return None
            roles = {"price": roles[best], **{role: at for role, at in roles.items() if role not in PRICE_ROLES}}
        else:
            roles.pop("price", None)
        pair = Pair(coin, currency.upper() if currency else None) if coin else whole
        if pair and currency and pair.symbol == currency:
            return None  # the price of bitcoin in bitcoin
        self.because(
            "series",
            f"{pair.symbol if pair else 'each row’s symbol'} {currency or ''}".strip(),
            "the names of its columns",
            *[self.columns[at] for at in roles.values()],
        )
        return Series(roles, pair, currency)

    def _by_cells(self, taken: set[int], whole: Pair | None, symbol: Column | None) -> Series:
        """Without names that are understood: by how the numbers of columns relate."""
        related = self.evidence.get("related") or {}
        times = taken | {column.position for column in self.columns if column.holds_times() and not column.is_empty()}
        found = ohlc_by_cells(self.columns, related, is_ascending=self._is_ascending(taken), taken=times)
        if found is None:
            numeric = [
                column
                for column in self.columns
                if column.position not in times and not column.is_empty() and not column.is_constant() and column.holds_numbers()
            ]
            if self.has_header or len(numeric) != 1:
                raise self._unknown_prices(numeric)
            self.because("series", "price", "the only column of numbers", numeric[0])
            return Series({"price": numeric[0].position}, whole, None)
        roles, why = found
        after = roles[max(roles, key=lambda role: roles[role])] + 1
        if (
            after < len(self.columns)
            and after in (related.get("numeric") or ())
            and after not in times
            and not self.columns[after].is_constant()
        ):
            roles["volume"] = after
        self.because("series", ", ".join(roles), why, *[self.columns[at] for at in roles.values()])
        return Series(roles, whole, None)

    def _is_ascending(self, taken: set[int]) -> bool:
        position = min(taken)
        try:
            first, last = (timestamp("time", self.sample[n][position], "day_first") for n in (0, -1))
        except (BadValueError, IndexError):
            return True
        return first <= last

    # -- coins --------------------------------------------------------------------------------------------------------

    def _pair_of_file(self) -> Pair | None:
        """The pair that a person, a volume's name, the file's name, its folders or the lines above the header name."""
        if symbol := self.said.get("symbol"):
            self.because("symbol", symbol, "mapping.yaml says so")
            return Pair(symbol.lower(), self.said["currency"].upper() if self.said.get("currency") else None)
        path = PurePosixPath(self.path)
        stem = re.sub(r"\.(?:csv|tsv)$", "", path.name.removesuffix(".gz").removesuffix(".zst").removesuffix(".zip"), flags=re.IGNORECASE)
        named = [(stem, "the file's name"), *((folder, "the folder's name") for folder in reversed(path.parts[:-1]))]
        found = next(((pair, why) for text, why in named if (pair := pair_from_name(text))), None)
        coins = [column for column in self.columns if column.named.role == "volume" and is_coin(column.named.currency)]
        if coins and (found is None or found[0].symbol != coins[0].named.currency):
            self.because("symbol", coins[0].named.currency, "the name of a volume", coins[0])
            return Pair(str(coins[0].named.currency), found[0].currency if found else None)
        if found is None:
            found = next(
                (
                    (pair, "a line above the header")
                    for text in self.preamble
                    if (pair := pair_from_name(re.sub(r"https?://\S+", "", text)))
                ),
                None,
            )
        if found:
            self.because("symbol", found[0].symbol, found[1])
        return found[0] if found else None

    def _fallback_currency(self) -> str | None:
        """Of the mapping file; else of the other volume (`Volume USD`), else of the file's name."""
        if said := self.said.get("currency"):
            return str(said).upper()
        quote = next(
            (column.named.currency for column in self.columns if column.named.role == "volume" and column.named.currency in FIAT), None
        )
        pair = pair_from_name(PurePosixPath(self.path).stem)
        return quote.upper() if quote else pair.currency if pair else None

    def _require_pair(self, found: list[Series], symbol: Column | None) -> None:
        if symbol is None and any(series.pair is None for series in found):
            raise UnmappableError(
                "unknown_symbol",
                number_formats.mapping_hint(
                    self.path, f"neither a column nor the name of {self.path!r} says which coin this is: name it like btc-usd.csv, add a column symbol, or",
                    symbol="btc", currency="usd",
                ).replace(", or:", ", or"),
                "symbol",
            )  # fmt: skip

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _decimals(self, series: list[Series]) -> dict[int, str]:
        used = {at: self.columns[at] for each in series for at in each.columns.values()}
        marks, why = number_formats.decimal_marks(
            self.path, self.delimiter, {at: column.evidence for at, column in used.items()}, {at: column.shown for at, column in used.items()}, self.said.get("decimal")
        )  # fmt: skip
        if "," in marks.values():
            self.because("decimal", ",", why)
        return marks

    # -- refusals -----------------------------------------------------------------------------------------------------

    def _shown(self) -> str:
        names = ", ".join(column.name for column in self.columns)[:200]
        return (
            f"the header says: {names}"
            if self.has_header
            else f"the file has no header, and its first row is {', '.join(self.sample[0])[:200] if self.sample else 'nothing'}"
        )

    def _unknown_prices(self, numeric: list[Column]) -> UnmappableError:
        positions = [column.position + 1 for column in numeric] or [2]
        what = number_formats.mapping_hint(
            self.path, f"{self.path}: no column is a price (price, close, or open, high, low, close); {self._shown()}. Say which one is",
            columns=f"{{price: {positions[0]}}}   # a name, or a number from 1",
        )  # fmt: skip
        return UnmappableError("unknown_columns" if self.has_header else "no_header", what, "price")
