"""The columns of a ledger: their types, and what a value in them must be.

Amounts are read from their text and never through binary floats, and are kept to a picodollar. Whole columns are
checked at once; only where a check fails is a column gone through value by value, to name the line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from proofset.costing.chain import ADJUSTMENT
from proofset.costing.ledger import ACCEPTED
from proofset.costing.prices import rounded
from proofset.errors import InputError, RecordError
from proofset.nouns.entry import Entry, Fate
from proofset.nouns.result import UsageBasis

if TYPE_CHECKING:
    import pyarrow as pa

REFUSED = "refused"
"""Fate of what a ledger says was not accepted, without saying why."""
LARGEST = Decimal(10**15)
"""No amount of one row reaches this, in USD: sums of blocks then fit their columns."""
TOKENS = tuple(item.name for item in fields(Entry) if item.name.endswith("_tokens"))
"""Columns of token counts."""
MONEY = ("usd", "avoided_usd")
"""Columns of amounts, in USD."""
_FATES = dict.fromkeys(("true", "1", "1.0", "yes", ACCEPTED), ACCEPTED)
_FATES |= dict.fromkeys(("false", "0", "0.0", "no", "rejected", REFUSED), REFUSED)
_CORRECT = "correct the ledger, or leave the row out"


def schema() -> pa.Schema:
    """The columns of ``Entry``, then ``fate`` and ``bytes``; amounts are decimal128(38, 12), null where not known."""
    import pyarrow as pa

    special: dict[str, Any] = {name: pa.int64() for name in (*TOKENS, "seq", "bytes")}
    special |= {name: pa.decimal128(38, 12) for name in MONEY} | {"core_seconds": pa.float64(), "seconds": pa.float64()}
    names = [item.name for item in fields(Entry)] + ["fate", "bytes"]
    return pa.schema([(name, special.get(name, pa.string())) for name in names])


def as_table(entries: Iterable[Entry], fates: Iterable[Fate] = ()) -> pa.Table:
    """Our own entries as such a table, each with the last fate that its record was given; empty where it has none."""
    import pyarrow as pa

    last = {fate.record: fate for fate in fates}
    none = Fate(record="", fate="")
    rows = []
    for entry in entries:
        fate = last.get(entry.record, none) if entry.record else none
        rows.append(asdict(entry) | {"basis": entry.basis.value, "fate": fate.fate, "bytes": fate.bytes})
    try:
        return pa.Table.from_pylist(rows, schema=schema())
    except pa.ArrowInvalid as error:
        raise InputError(f"an entry fits no column: {error}", hint="round amounts to a picodollar") from error


@dataclass(slots=True)
class Raw:
    """Some rows as a file has them."""

    path: Path
    columns: Mapping[str, Any]
    """Our name to an arrow array of any type."""
    names: Mapping[str, str]
    """Our name to the file's."""
    lines: Sequence[int]
    """Line of each row, or its number in a Parquet file; from 1."""

    def refuse(self, index: int, ours: str, message: str, hint: str = _CORRECT) -> NoReturn:
        """A RecordError at a row of the block."""
        raise RecordError(message, path=self.path, line=self.lines[index], field=self.names.get(ours, ours), hint=hint)

    def refuse_any(self, mask: Any, ours: str, message: str, hint: str = _CORRECT) -> None:
        """A RecordError at the first row for which the mask is true, if there is one."""
        import pyarrow.compute as pc

        if (index := pc.index(mask, True).as_py()) >= 0:
            value = self.columns[ours][index].as_py() if ours in self.columns else None
            self.refuse(index, ours, message.format(value), hint)

    def texts(self, ours: str) -> Any:
        """A column as strings, null where it is empty; all null where the file has none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if (array := self.columns.get(ours)) is None:
            return pa.nulls(len(self.lines), pa.string())
        try:
            array = array if pa.types.is_string(array.type) else array.cast(pa.string())
        except pa.ArrowException as error:
            self.refuse(0, ours, f"{array.type} cannot be read as text: {error}")
        return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)

    def each(self, ours: str, kind: Any, read: Callable[[str], Any]) -> Any:
        """A column value by value: the slow way, which can say what is wrong and where."""
        import pyarrow as pa

        made: list[Any] = []
        for index, text in enumerate(self.texts(ours).to_pylist()):
            try:
                made.append(None if text is None else read(text))
            except (ValueError, ArithmeticError) as error:
                self.refuse(index, ours, f"{text!r} is no {'amount' if ours in MONEY else 'such value'}: {error}")
        return pa.array(made, kind)


@dataclass(slots=True)
class Shaper:
    """Turns rows of one file into our columns; remembers the currency of its amounts."""

    rate: Decimal | None = None
    """USD per unit of the file's currency."""
    currency: str | None = field(default=None, init=False)

    def shape(self, raw: Raw, only: Collection[str] | None = None) -> pa.Table:
        """A block with our columns (those of ``only``), types and rules; RecordError names what breaks one."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kinds = schema()
        wanted = [kinds.field(name) for name in kinds.names if only is None or name in only]
        made = {item.name: _column(raw, item.name, item.type) for item in wanted}
        if "usd" in made:
            made["usd"] = self._in_usd(raw, made["usd"])
        _check_parts(raw, made, ("cached_tokens", "cache_write_tokens"), "input_tokens")
        _check_parts(raw, made, ("reasoning_tokens",), "output_tokens")
        _check_signs(raw, made)
        if "basis" in made and "usd" in made:
            likely = pc.if_else(made["usd"].is_valid(), UsageBasis.REPORTED.value, UsageBasis.UNPRICED.value)
            made["basis"] = pc.if_else(pc.equal(made["basis"], ""), likely, made["basis"])
        return pa.table(made, schema=pa.schema(wanted))

    def _in_usd(self, raw: Raw, amounts: Any) -> Any:
        """Amounts in USD; RecordError for several currencies, or one without a rate."""
        import pyarrow as pa
        import pyarrow.compute as pc

        names = pc.fill_null(pc.utf8_upper(pc.utf8_trim_whitespace(raw.texts("currency"))), "USD")
        priced = names.filter(amounts.is_valid()) if "currency" in raw.columns else names[:0]
        for name in priced.unique().to_pylist():
            self.currency = self.currency or name
            at = pc.index(pc.and_(pc.equal(names, name), amounts.is_valid()), True).as_py()
            if name != self.currency:
                raw.refuse(at, "currency", f"{name} after {self.currency}: one ledger has one currency")
            if (name == "USD") != (self.rate is None):
                what = "without a rate" if self.rate is None else "and a rate"
                raw.refuse(at, "currency", f"amounts in {name} {what}", "rate: USD per unit of the ledger's currency")
        if self.rate is None:
            return amounts
        return pa.array([None if x is None else rounded(x * self.rate) for x in amounts.to_pylist()], amounts.type)


def _column(raw: Raw, ours: str, kind: Any) -> Any:
    """One column in its type, or what it is where the file has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if ours == "seq" and ours not in raw.columns:
        return pa.array(raw.lines, kind)
    if ours == "at":
        return _times(raw)
    if ours == "fate" and "fate" in raw.columns:
        return _fates(raw)
    if ours in MONEY:
        return _amounts(raw, ours, kind)
    if pa.types.is_string(kind):
        return pc.fill_null(raw.texts(ours), "ok" if ours == "outcome" else "")
    array = raw.columns.get(ours, pa.nulls(len(raw.lines), kind))
    try:
        made = array.cast(kind) if pa.types.is_integer(array.type) else raw.texts(ours).cast(kind)
    except pa.ArrowInvalid:
        made = raw.each(ours, kind, _whole if pa.types.is_integer(kind) else float)
    return pc.fill_null(made, pa.scalar(0, kind))


def _whole(text: str) -> int:
    """A whole number out of "12", or "12.0" as tools write that turn counts into floats."""
    number = Decimal(text)
    if not number.is_finite() or number != number.to_integral_value() or abs(number) >= 2**63:
        raise ValueError("no whole number")
    return int(number)


def _amount(text: str) -> Decimal:
    """An amount on the grid of money."""
    number = Decimal(text.strip())
    if not number.is_finite() or abs(number) >= LARGEST:
        raise ValueError("no finite number below 10**15")
    return rounded(number)


def _amounts(raw: Raw, ours: str, kind: Any) -> Any:
    """Amounts as exact decimals, null where not known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = raw.columns.get(ours, pa.nulls(len(raw.lines), kind))
    try:
        made = array.cast(kind) if pa.types.is_decimal(array.type) else raw.texts(ours).cast(kind)
    except pa.ArrowInvalid:
        return raw.each(ours, kind, _amount)
    raw.refuse_any(pc.greater_equal(pc.abs(made), pa.scalar(LARGEST, kind)), ours, "{} is no amount of one call")
    return made


def _fates(raw: Raw) -> Any:
    """Fates; yes and no of a column of that kind become accepted and refused."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.fill_null(raw.texts("fate"), "")
    plain = pc.utf8_lower(texts)
    for told in plain.unique().to_pylist():
        if told in _FATES:
            texts = pc.if_else(pc.equal(plain, told), pa.scalar(_FATES[told]), texts)
    return texts


def _times(raw: Raw) -> Any:
    """Times as ISO 8601 texts in UTC; numbers are seconds, milli-, micro- or nanoseconds since 1970 by their size."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = raw.columns.get("at")
    if array is not None and pa.types.is_timestamp(array.type):
        zoned = array if array.type.tz else pc.assume_timezone(array, "UTC")
        return pc.fill_null(pc.strftime(zoned.cast(pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ"), "")
    texts = raw.texts("at")
    usual = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
    if not pc.all(usual).as_py():
        texts = raw.each("at", pa.string(), _time)
    return pc.fill_null(texts, "")


def _time(text: str) -> str:
    """One time as ISO 8601 text in UTC; one without a zone is taken for UTC."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        when = datetime.fromisoformat(text)
    else:
        if not number.is_finite() or not 0 <= number < 10**20:
            raise ValueError("no time since 1970")
        while number >= 10**11:
            number /= 1000
        when = datetime.fromtimestamp(float(number), UTC)
    when = when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    return when.isoformat().replace("+00:00", "Z")


def _check_parts(raw: Raw, made: Mapping[str, Any], parts: Sequence[str], whole: str) -> None:
    """The parts together are no larger than what they are parts of, which is 0 where the file does not have it."""
    import pyarrow.compute as pc

    present = [name for name in parts if name in made and name in raw.columns]
    if not present or whole not in made:
        return
    total = made[present[0]]
    for name in present[1:]:
        total = pc.add(total, made[name])
    hint = f"{whole} includes {present[0]}; where a provider reports them apart, add them up first"
    raw.refuse_any(pc.greater(total, made[whole]), present[0], f"{{}} is more than the {whole} it is a part of", hint)


def _check_signs(raw: Raw, made: Mapping[str, Any]) -> None:
    """Counts, seconds and amounts are finite and not negative, save in an adjustment; a basis is one of ours."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stage = made["stage"] if "stage" in made else pc.fill_null(raw.texts("stage"), "")
    booked = pc.not_equal(stage, ADJUSTMENT)
    for ours, array in made.items():
        if pa.types.is_string(array.type):
            continue
        if pa.types.is_floating(array.type):
            raw.refuse_any(pc.invert(pc.is_finite(array)), ours, "{} is no number of seconds")
        negative = pc.fill_null(pc.less(array, pa.scalar(0, array.type)), False)
        raw.refuse_any(pc.and_(negative, booked), ours, "{} is negative; only an adjustment may be")
    if "basis" in made and "basis" in raw.columns:
        known = pa.array([*(basis.value for basis in UsageBasis), ""])
        raw.refuse_any(pc.invert(pc.is_in(made["basis"], known)), "basis", "{!r} is no basis of an amount")
