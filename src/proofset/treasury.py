"""Questions about money, answered from a study, from a run, or from anybody's ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from pydantic_core import from_json

from proofset.artifacts import PREFIX
from proofset.config import Study
from proofset.costing import chain, telemetry
from proofset.costing.catalogue import Catalogue, price_call
from proofset.costing.columns import TOKENS, as_table
from proofset.costing.estimate import BYTES_A_TOKEN, Asked, Estimate, Habit, Need
from proofset.costing.estimate import estimate as estimated
from proofset.costing.foreign import read_ledger
from proofset.costing.ledger import ACCEPTED, REFUSED
from proofset.costing.pricebook import Call, PriceBook
from proofset.errors import InputError
from proofset.judging import TRIAL, Bench
from proofset.nouns.candidate import Brief
from proofset.nouns.entry import Entry, Fate
from proofset.nouns.event import BriefClosed, Costed, Event, JudgeMeasured, Proposed, Spent
from proofset.nouns.result import Usage, UsageBasis
from proofset.pipeline import key, perform
from proofset.runs.folder import LOG, Run
from proofset.runs.log import codec
from proofset.runs.seals import Sealed, money_lines
from proofset.runs.seals import verify as verify_seals
from proofset.speakers import Model
from proofset.speaking import GENERATOR, critics_of, prices_of
from proofset.staging import composers_of, planned
from proofset.synthesizing.brief import Composer
from proofset.synthesizing.calibration import ASKED_TWICE
from proofset.synthesizing.past import Past
from proofset.synthesizing.reviewer import opinion_request
from proofset.trials import FAULTS_OF_CONTENT
from proofset.walk import Walk

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLED = 16
"""Briefs of a slice that are written to see how long they are."""


def estimate(study_file: Path, runs: Path = Path("runs"), budget_usd: str = "") -> Estimate:
    """What the loop of a study will cost from here on. Audits and grounds first, where that is not done; pays nothing.

    Raises what the study or its run can be wrong in.
    """
    study = Study.read(study_file)
    if budget_usd:
        study = study.with_budget(budget_usd)
    text = study_file.read_text(encoding="utf-8")
    with Run.open(runs / study.name, study.model_dump(mode="json"), text) as opened:
        walk = Walk(opened, study, study_file.resolve().parent)
        for verb in ("audit", "ground"):
            perform(walk, verb)
        return _estimate(walk)


def entries(folder: Path) -> Iterator[Entry]:
    """The ledger of a run: one entry an attempt, out of the log's lines of money, in their order."""
    path = folder / LOG
    for number, line in money_lines(path):
        told = from_json(line)
        usage = codec(Usage).validate_python([told["usage"]])[0]
        model, _, address = usage.model.partition(" at ")
        yield Entry(
            seq=number, at=told["at"], run=folder.resolve().name, stage=usage.stage, slice=usage.slice,
            record=usage.brief_id, attempt=told.get("chain") or f"line {number}", provider=address, model=model,
            processing=usage.processing, input_tokens=usage.input_tokens, cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens, output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens, core_seconds=usage.core_seconds, seconds=usage.seconds,
            outcome=usage.outcome, usd=usage.usd, basis=usage.basis, avoided_usd=usage.avoided_usd,
        )  # fmt: skip


def fates(events: Iterable[Event]) -> Iterator[Fate]:
    """What became of each brief, with the bytes of the text that was accepted."""
    texts: dict[str, str] = {}
    for event in events:
        if isinstance(event, Proposed):
            texts[event.candidate.id] = event.candidate.text
        elif isinstance(event, BriefClosed):
            text = normalize("NFC", texts[event.winner]) if event.winner is not None else ""
            fate = ACCEPTED if event.winner is not None else REFUSED + (event.reason or "no reason given")
            yield Fate(record=event.brief_id, fate=fate, bytes=len(text.encode("utf-8", "surrogatepass")))


def run_table(folder: Path) -> pa.Table:
    """Entries and fates of a run, as a table."""
    return as_table(entries(folder), fates(Run.read(folder).events))


def verify(folder: Path) -> Sealed:
    """Whether every line of money in a run's log is as it was written, up to the last statement at least.

    Raises LogCorrupt that names the line which is not.
    """
    stated = [event.statement.seal for event in Run.read(folder).events if isinstance(event, Costed)]
    return verify_seals(folder / LOG, stated[-1] if stated else "")


def priced(table: pa.Table, book: PriceBook | None, catalogue: Catalogue | None) -> tuple[pa.Table, tuple[str, ...]]:
    """A ledger whose rows without an amount are priced where that can be done, and what was noticed on the way.

    Raises InputError for counts that cannot be.
    """
    import pyarrow as pa

    names = ("provider", "model", "at", "processing", *TOKENS, "core_seconds", "usd", "basis")
    usd, basis, noticed = [], [], dict[str, None]()
    for row in table.select(names).to_pylist():
        if row["usd"] is None and row["basis"] != UsageBasis.REPLAY.value:
            quote = price_call(_call(row), book, catalogue)
            noticed.update(dict.fromkeys(quote.warnings))
            row["usd"], row["basis"] = quote.usd, quote.basis.value
        usd.append(row["usd"])
        basis.append(row["basis"])
    for name, values in (("usd", usd), ("basis", basis)):
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
    return table, tuple(noticed)


def write_out(source: Path, out: Path) -> None:
    """Write the rows of a run or a ledger: a table (.parquet, .csv), a hash chain (.jsonl) or spans (.otlp.jsonl).

    The file is there whole or not at all. Raises InputError for another ending, and for rows of others as a chain.
    """
    import pyarrow.csv
    import pyarrow.parquet

    own, kind = source.is_dir(), "".join(out.suffixes[-2:]) if out.name.endswith(".otlp.jsonl") else out.suffix
    rows: dict[str, Callable[[Path], object]] = {
        ".otlp.jsonl": lambda path: telemetry.export(entries(source), path),
        ".jsonl": lambda path: chain.write(entries(source), path),
    }
    tables: dict[str, Callable[[pa.Table, Path], None]] = {
        ".parquet": pyarrow.parquet.write_table, ".csv": pyarrow.csv.write_csv,
    }  # fmt: skip
    if own and kind in rows:
        rows[kind](out)
        return
    if kind not in tables:
        known = ", ".join((*tables, *rows) if own else tables)
        raise InputError(f"{out}: cannot be written as {kind or 'a file without an ending'}", hint=f"one of: {known}")
    draft = out.with_name(f".{out.name}.tmp")
    tables[kind](run_table(source) if own else read_ledger(source), draft)
    draft.replace(out)


def _call(row: dict[str, Any]) -> Call:
    at = datetime.fromisoformat(row["at"]) if row["at"] else None
    counts = {name: row[name] for name in (*TOKENS, "core_seconds")}
    return Call(
        provider=row["provider"] or "", model=row["model"] or "", at=at, processing=row["processing"] or "", **counts
    )


def _estimate(walk: Walk) -> Estimate:
    bench, settings = Bench.of(walk), walk.study.synthesize
    composers = composers_of(bench, planned(bench))
    same = walk.run.last_key("synthesize") == key(walk, "synthesize")  # else what was decided is decided anew
    pasts = Past.fold(walk.run.since("synthesize")) if same else {}
    needs = [_need(each, pasts.get(each.quota.slice, Past())) for each in composers]
    closings = [event for event in walk.run.events if isinstance(event, BriefClosed)]
    spent = _Spent.of(walk.run.events)
    prompt = _mean(need.prompt_bytes for need in needs)
    asked = [_asked(walk, (settings.model, GENERATOR), "generate", settings.sampling.max_tokens, spent, prompt)]
    critics = critics_of(walk)
    size = _critic_bytes(walk, composers, asked[0]) if critics else 0.0
    questions = sum(2 if question == "pairwise" else 1 for question in settings.critic.questions)
    tried = any(isinstance(event, JudgeMeasured) for event in walk.run.since("calibrate"))
    cases = settings.critic.trial * len(FAULTS_OF_CONTENT) + min(settings.critic.trial, ASKED_TWICE)
    for critic in critics:
        one = _asked(walk, critic, "critic", settings.critic.max_tokens, spent, size, size)
        asked.append(replace(one, a_brief=questions))
        if cases and not tried:
            asked.append(replace(one, stage=TRIAL, fixed=questions * cases, reached=1.0))
    return estimated(needs, asked, sum(each.winner is not None for each in closings), len(closings))


def _need(composer: Composer, past: Past) -> Need:
    quota, closed = composer.quota, len(past.closed)
    numbers = range(0, quota.max_briefs, max(1, quota.max_briefs // SAMPLED))
    sizes = (_bytes_of(composer.brief(number)) for number in islice(numbers, SAMPLED))
    left = 0 if past.finished else max(0, quota.accepted - past.accepted)
    return Need(
        slice=quota.slice, wanted=left, most_briefs=0 if past.finished else max(0, quota.max_briefs - closed),
        prompt_bytes=_mean(sizes),
    )  # fmt: skip


def _bytes_of(brief: Brief) -> int:
    """UTF-8 bytes of what a generator is asked: a prompt, or turns."""
    return len("".join([brief.prompt, *(turn.content for turn in brief.messages)]).encode("utf-8", "replace"))


def _asked(
    walk: Walk,
    speaker: tuple[Model, str],
    stage: str,
    max_tokens: int,
    spent: _Spent,
    prompt: float,
    size: float | None = None,
) -> Asked:
    model, place = speaker
    calls, generated = spent.calls.get(stage, 0), spent.calls.get("generate", 0)
    habit = Habit()
    if calls:
        tokens_in = spent.tokens_in[stage] / calls
        usd = spent.usd[stage] / calls
        habit = Habit(
            bytes_a_token=prompt / tokens_in if tokens_in and prompt else None,
            answer_tokens=spent.tokens_out[stage] / calls,
            usd_a_call=usd if spent.imputed.get(stage) else None,
        )
    return Asked(
        name=model.model or model.path.removeprefix(PREFIX),
        stage=stage,
        tariff=prices_of(walk, model, place).tariff,
        max_tokens=max_tokens,
        request_bytes=size,
        reached=min(1.0, calls / generated) if stage == "critic" and calls and generated else 1.0,
        batch=model.batch,
        habit=habit,
    )


def _critic_bytes(walk: Walk, composers: Sequence[Composer], generator: Asked) -> float:
    """Mean bytes of what the critic model is asked, with a candidate of the length that is taken for likely."""
    settings = walk.study.synthesize.critic
    tokens = generator.habit.answer_tokens or generator.max_tokens / 2
    candidate = "x" * round(BYTES_A_TOKEN * tokens)
    requests = (opinion_request(each.brief(0), candidate, settings, walk.title(each.quota.label)) for each in composers)
    return _mean(sum(len(turn.content.encode("utf-8", "replace")) for turn in each.messages) for each in requests)


@dataclass(slots=True)
class _Spent:
    """What the models of the loop used up so far, stage by stage, replays left out."""

    calls: dict[str, int] = field(default_factory=dict)
    tokens_in: dict[str, int] = field(default_factory=dict)
    tokens_out: dict[str, int] = field(default_factory=dict)
    usd: dict[str, Decimal] = field(default_factory=dict)
    imputed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> _Spent:
        found = cls()
        for event in events:
            if not isinstance(event, Spent) or event.usage.stage not in ("generate", "critic"):
                continue
            usage, stage = event.usage, event.usage.stage
            if usage.outcome == "ok" and usage.basis is not UsageBasis.REPLAY and usage.brief_id:
                found.calls[stage] = found.calls.get(stage, 0) + 1
                found.tokens_in[stage] = found.tokens_in.get(stage, 0) + usage.input_tokens
                found.tokens_out[stage] = found.tokens_out.get(stage, 0) + usage.output_tokens
                found.usd[stage] = found.usd.get(stage, Decimal(0)) + (usage.usd or Decimal(0))
                found.imputed[stage] = found.imputed.get(stage, 0) + (usage.basis is UsageBasis.IMPUTED)
        return found


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
