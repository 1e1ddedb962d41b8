"""Made-up runs to show: an SMS study with two slices, a support study with seventy, and one that has only begun."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from proofset.config import Study
from proofset.costing.clusters import CostPerTB, cost_per_tb
from proofset.costing.humans import BASELINES, Ratio, replacement_ratio
from proofset.costing.pilot import Pilot
from proofset.costing.projection import Forecast, NotReachable, Projection
from proofset.costing.targets import Target
from proofset.nouns.candidate import Candidate, Decision, Stop, Verdict
from proofset.nouns.event import (
    BriefClosed,
    Claimed,
    Costed,
    DeficitRanked,
    Event,
    Finished,
    Grounded,
    Ingested,
    Judged,
    JudgeMeasured,
    Measured,
    Opened,
    Proposed,
    Proved,
    SliceClosed,
    Spent,
    Started,
    Trained,
)
from proofset.nouns.result import (
    ArmClaim,
    Better,
    Claim,
    CostLine,
    CostStatement,
    Gain,
    Measure,
    Usage,
    UsageBasis,
)
from proofset.nouns.slice import Deficit
from proofset.stats import wilson

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
REFUSALS = (
    ("form", "truncated", "cut off after 58 words"),
    ("form", "too short", "2 words, at least 4 asked"),
    ("form", "repeats itself", "only 31% of its words are distinct"),
    ("duplicate", "duplicate", "64% of word pairs shared with 8c1d"),
    ("organic copy", "copy of organic", "71% of word pairs shared with 41ab"),
    ("contamination", "contaminated", "the same text as a held-out record"),
    ("anchor copy", "copies an anchor", "11 words in a row from 77aa"),
    ("fluency", "degenerate", "5.31 bits a character, organic text stays below 4.60"),
    ("critic", "wrong label", "reads as ham to 2 of 3 views"),
)
SPAM = (
    "URGENT! Your mobile number has won a £2000 prize. To claim call 09061701461 from land line.",
    "Free entry in our weekly draw, text WIN to 80086 now! 18+ only, 150p per message.",
    "Your account has been credited with 500 free bonus points, reply YES to claim them today.",
    "You have 1 new voicemail. Please call 08719181513 to listen, calls cost 50p a minute.",
)


def share(name: str, hits: int, n: int, better: Better = Better.LOWER) -> Measure:
    low, high = wilson(hits, n)
    return Measure(name=name, value=hits / n, low=low, high=high, n=n, unit="share", better=better)


def verb(name: str, seconds: float, events: list[Event]) -> list[Event]:
    begun = Started(verb=name, key=f"key-of-{name}")
    return [begun, *events, Finished(verb=name, key=begun.key, seconds=seconds, core_seconds=seconds * 1.7)]


def deficit(name: str, title: str, n: int, errors: int, needed: float | None, rank: int, edge: bool) -> Deficit:
    note = "" if needed is not None else "more than 100 times what there is"
    return Deficit(
        slice=name, title=title, n=n, error=share("error", errors, n), rank=rank, edge=edge,
        expected_error=share("expected error", errors // 2, n),
        needed=Measure(
            name="records needed", value=needed, n=n, unit="records", note=note,
            low=None if needed is None else needed * 0.4, high=None if needed is None else needed * 3.1,
        ),
    )  # fmt: skip


def rounds(name: str, proposed: int, accepted: int, quota: int, texts: tuple[str, ...], seed: int) -> Iterator[Event]:
    rng = random.Random(seed)
    winners = set(rng.sample(range(proposed), accepted))
    for number in range(proposed):
        brief = f"{name}-brief-{number}"
        text = f"{texts[number % len(texts)]} Ref {rng.randrange(10_000)}."
        candidate = Candidate(
            id=f"{name}-{number}", brief_id=brief, slice=name, text=text, label=name, unseen_fold=number % 5,
            finish="stop",
        )  # fmt: skip
        usage = Usage(
            model=MODEL, stage="generate", slice=name, brief_id=brief, input_tokens=410, cached_tokens=330,
            output_tokens=24, core_seconds=0.35, usd=Decimal("0.0000049"), basis=UsageBasis.IMPUTED,
        )  # fmt: skip
        yield Spent(usage=usage)
        yield Proposed(candidate=candidate, number=number)
        won = number in winners
        judge, reason, critique = ("critic", "", "") if won else rng.choice(REFUSALS)
        decision = Decision.ACCEPT if won else Decision.REJECT
        scores = (("probability", 0.91 if won else 0.22),) if judge == "critic" else ()
        verdict = Verdict(
            judge=judge, candidate_id=candidate.id, decision=decision, reason=reason, scores=scores, critique=critique
        )
        yield Judged(verdict=verdict)
        yield BriefClosed(
            brief_id=brief, slice=name, number=number, winner=candidate.id if won else None, reason=reason
        )
    stop = Stop.QUOTA_MET if accepted >= quota else Stop.BRIEFS_SPENT
    yield SliceClosed(slice=name, accepted=accepted, quota=quota, stop=stop)


def gain(arm: str, part: str, metric: str, before: float, change: float, half: float, n: int) -> Gain:
    low, high = change - half, change + half
    claim = Claim.HELPS if low > 0 else Claim.HARMS if high < 0 else Claim.NOT_SHOWN
    return Gain(
        arm=arm, baseline="organic", slice=part, metric=metric, baseline_score=before, score=before + change,
        difference=Measure(
            name=metric, value=change, low=low, high=high, n=n, unit="share of items", better=Better.HIGHER,
            note="the arms differ on 46 groups; 2000 resamples",
        ),
        claim=claim, minimum_detectable=half * 1.43,
    )  # fmt: skip


def proof(edges: tuple[str, ...]) -> list[Event]:
    rows: list[Event] = []
    for arm, edge, rest, half, claim in (
        ("unjudged", 0.082, -0.041, 0.021, Claim.HARMS),
        ("judged", 0.071, -0.006, 0.018, Claim.NOT_SHOWN),
        ("judged-weighted", 0.064, -0.002, 0.015, Claim.HELPS),
    ):
        table = [
            gain(arm, "edge", "edge accuracy at equal rest", 0.782, edge, half, 546),
            gain(arm, "edge", "edge accuracy", 0.771, edge + 0.02, half, 546),
            gain(arm, "rest", "rest accuracy", 0.985, rest, half / 4, 2472),
            gain(arm, "all", "accuracy", 0.948, edge * 0.18 + rest * 0.82, half / 3, 3018),
            *(gain(arm, name, "slice accuracy", 0.782, edge, half, 546) for name in edges),
            gain(arm, "all", "macro-F1", 0.912, edge / 3, half / 2, 3018),
            gain(arm, "edge", "edge average precision", 0.938, 0.0005, half / 3, 3018),
        ]
        rows += [Proved(gain=each) for each in table]
        title = {"unjudged": "+ unjudged", "judged": "+ judged"}.get(arm, "+ judged, chosen weight")
        words = f"{title}: starved slices gain, the rest stays within the margin: {claim}."
        rows.append(Claimed(claim=ArmClaim(arm=arm, title=title, claim=claim, words=words)))
    return rows


def with_definitions(events: list[Event]) -> list[Event]:
    """The same run with an arm of definitions, which the synthetic arms have to beat."""
    rows: list[Event] = []
    for event in events:
        if isinstance(event, Proved):
            rows.append(Proved(gain=replace(event.gain, baseline="definitions")))
            continue
        if isinstance(event, Started) and event.verb == "prove":
            rows.append(event)
            rows.append(Proved(gain=gain("definitions", "edge", "edge accuracy at equal rest", 0.782, 0.03, 0.01, 546)))
            words = "helps the edges"
            claim = ArmClaim(arm="definitions", title="+ definitions", claim=Claim.HELPS, words=words)
            rows.append(Claimed(claim=claim))
            continue
        rows.append(event)
    return rows


def statement() -> CostStatement:
    total = Decimal("0.00244")
    accepted, refused = Decimal("0.00112"), Decimal("0.00132")
    return CostStatement(
        total_usd=total, accepted=218, usd_per_accepted=total / 218, usd_per_gb=Decimal("118.4"), accepted_bytes=20_604,
        wasted_share=0.54, unpriced_calls=0, input_tokens=196_800, cached_tokens=158_400, output_tokens=11_520,
        core_seconds=175.7, basis="Processor time of this machine at $0.05 a core-hour (set in the study).",
        by_stage=(CostLine(name="generate", usd=total, calls=480, share=1.0),),
        by_slice=(CostLine(name="spam", usd=total, calls=480, share=1.0),),
        by_fate=(
            CostLine(name="accepted", usd=accepted, calls=218, share=0.459),
            CostLine(name="refused: copy-of-organic", usd=refused, calls=262, share=0.541),
        ),
    )  # fmt: skip


def begun() -> list[Event]:
    ingested = Ingested(
        rows=5574,
        organic=1515,
        held_out=3018,
        labels=2,
        near_copy_groups=312,
        dropped=(("duplicate", 415), ("empty", 2)),
    )
    audited: list[Event] = [
        DeficitRanked(deficit=deficit("spam", "Spam", 15, 6, 238.4, 1, True)),
        DeficitRanked(deficit=deficit("ham", "Ham", 1500, 12, 0.0, 2, False)),
    ]
    opened = Opened(proofset_version="0.1.0", python_version="3.12.8", platform="Linux x86_64")
    return [opened, *verb("ingest", 0.8, [ingested]), *verb("audit", 3.1, audited)]


def measures() -> list[Event]:
    rows = (("variance ratio", 0.81, 0.98, 0.04), ("effective rank ratio", 0.74, 0.99, 0.05),
            ("rare-mode coverage", 0.62, 0.95, 0.09))  # fmt: skip
    pairs: list[Event] = []
    for name, value, control, half in rows:
        made, organic = (
            Measure(name=name, value=v, low=v - half, high=v + half, n=200, unit="ratio", better=Better.HIGHER)
            for v in (value, control)
        )
        pairs.append(Measured(measure=made, control=organic))
    pairs.append(Measured(measure=share("near-copy share", 3, 218), control=share("near-copy share", 41, 1515)))
    missing = Measure(name="mode entropy", value=None, note="fewer than 10 organic records")
    return [*pairs, Measured(measure=missing, control=missing)]


def tried(judge: str, fault: str, refused: int, n: int) -> JudgeMeasured:
    better = Better.LOWER if fault in ("none", "contradicts itself") else Better.HIGHER
    return JudgeMeasured(judge=judge, fault=fault, rejected=share("rejected", refused, n, better))


def trials() -> list[Event]:
    return [
        tried("form", "none", 0, 60),
        tried("form", "repeats itself", 60, 60),
        tried("critic", "none", 4, 60),
        tried("critic", "wrong label", 51, 60),
        tried("cascade", "none", 6, 60),
        tried("cascade", "wrong label", 52, 60),
        tried("cascade", "repeats itself", 60, 60),
        tried("cascade", "negated", 12, 60),
        JudgeMeasured(
            judge="cascade", fault="forbidden", rejected=Measure(name="rejected", value=None, note="no rule at hand")
        ),
        tried("critic model", "none", 2, 30),
        tried("critic model", "wrong label", 27, 30),
        tried("critic model", "contradicts itself", 1, 30),
    ]


def full_run() -> list[Event]:
    training: list[Event] = [
        Trained(
            arm=arm, seed=seed, settings="strength 10, added weight 0.25, edge offset +0.4 (validation loss 0.2100)"
        )
        for arm in ("organic", "unjudged", "judged", "judged-weighted")
        for seed in range(5)
    ]
    loop = list(rounds("spam", 480, 218, 240, SPAM, 7))
    return [
        *begun(), *verb("calibrate", 50.0, trials()), *verb("synthesize", 214.0, loop),
        *verb("measure", 2.2, measures()),
        *verb("cost", 0.1, [Costed(statement=statement())]), *verb("handoff", 0.1, []),
        *verb("train", 8.4, training), *verb("prove", 5.2, proof(("spam",))),
    ]  # fmt: skip


def wide_run() -> list[Event]:
    rng = random.Random(3)
    found: list[Deficit] = []
    loop: list[Event] = []
    for place in range(70):
        n = round(3 * 1.09**place)
        edge, errors = n < 40, min(n, max(1, round(n * (0.75 - place / 110) * rng.uniform(0.6, 1.3))))
        title = f"CWE-{20 + place * 7}: improper handling of a long-named weakness {place}"
        name = f"cwe-{20 + place * 7}"
        needed = None if place < 2 else 4000 / (place + 1) if edge else 0.0
        found.append(deficit(name, title, n, errors, needed, place + 1, edge))
        if edge:
            loop += rounds(name, 12, rng.randrange(2, 9), 8, SPAM, place)
    edges = tuple(each.slice for each in found if each.edge)
    ingested = Ingested(rows=9000, organic=4200, held_out=4100, labels=70, near_copy_groups=55, dropped=())
    return [
        Opened(proofset_version="0.1.0", python_version="3.12.8", platform="Linux x86_64"),
        *verb("ingest", 1.5, [ingested]), *verb("audit", 44.0, [DeficitRanked(deficit=each) for each in found]),
        *verb("ground", 12.0, [Grounded(passages=812, facts=1301, slices_with_passage=66)]),
        *verb("synthesize", 4210.0, loop), *verb("prove", 9.0, proof(edges)),
    ]  # fmt: skip


def _pilot() -> Pilot:
    """Six hundred attempts of forty seeds at a cent each, three in four accepted, a tenth of the passed ones copies."""
    rng = random.Random(5)
    passed = [rng.random() < 0.85 for _ in range(600)]
    ideas = [f"idea {rng.randrange(2000)}" for _ in range(600)]
    seen: set[str] = set()
    unique = []
    for ok, idea in zip(passed, ideas, strict=True):
        unique.append(ok and idea not in seen)
        if ok:
            seen.add(idea)
    return Pilot(
        seeds=[number // 15 for number in range(600)], slices=["spam"] * 600, usd=[Decimal("0.01")] * 600,
        parsed=[True] * 600, passed=passed, unique=unique, accepted=unique,
        accepted_bytes=[100 if kept else 0 for kept in unique], output_tokens=[25 if kept else 0 for kept in unique],
        ideas=ideas, seeded=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Promised:
    """A prospect, as the page and the terminal want it."""

    accepted: int
    accepted_bytes: int
    per_tb: CostPerTB
    forecasts: tuple[tuple[Target, Forecast | NotReachable], ...]
    ratios: tuple[Ratio, ...]
    left_out_usd: Decimal = Decimal("0.02")


@pytest.fixture(scope="session")
def pilot() -> Pilot:
    return _pilot()


@pytest.fixture(scope="session")
def promised(pilot: Pilot) -> Promised:
    kept, per_tb = int(pilot.flags("accepted").sum()), cost_per_tb(pilot)
    projection = Projection(pilot, draws=1000)
    targets = (Target(records=10 * kept), Target(records=100 * kept), Target(accepted_bytes=10**12))
    return Promised(
        kept, pilot.total_bytes, per_tb, tuple((target, projection.forecast(target)) for target in targets),
        (replacement_ratio(per_tb.usd, BASELINES[0]), Ratio(BASELINES[3], None)),
    )  # fmt: skip


@pytest.fixture
def study() -> Study:
    return Study.parse(
        {
            "name": "sms", "title": "Can fifteen spam messages become a spam filter?",
            "question": "With 15 spam messages against 1,500 ordinary ones: does synthetic spam that passed the judges "
            "help a classifier find real spam, without accusing ordinary messages?",
            "ingest": {"path": "artifact:sms-spam", "keep": {"spam": 15}, "source": "SMS Spam Collection, Almeida 2011",
                       "licence": "CC BY 4.0"},
            "synthesize": {"quota": 240, "model": {"base_url": ""}},
        }
    )  # fmt: skip


@pytest.fixture
def sms() -> list[Event]:
    return full_run()


@pytest.fixture
def defined() -> list[Event]:
    return with_definitions(full_run())


@pytest.fixture
def cwe() -> list[Event]:
    return wide_run()


@pytest.fixture
def early() -> list[Event]:
    return begun()
