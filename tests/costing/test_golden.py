"""The worked example from end to end: what it says of money to the cent, and of ratios to six digits."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proofset.costing.cogs import FALLBACK, CogsStatement, Fate, Line, Nature, statement, without_cache
from proofset.costing.humans import TERABYTE, baseline, fixed_sample, replacement_ratio
from proofset.costing.margins import Curve, Growth, allowed, gross_margin
from proofset.costing.prices import Tariff
from proofset.costing.sourcing import (
    Gpu,
    api_per_million,
    break_even_volume,
    cache_uses,
    idle_threshold,
    people_break_even,
    small_model_yield,
)
from proofset.nouns.result import Usage

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_economics.json").read_text(encoding="utf-8"))
EXPECTED: dict[str, Any] = GOLDEN["expected"]
RATES: dict[str, Any] = GOLDEN["rates"]
CASCADE: dict[str, int] = GOLDEN["cascade"]
MILLION = 10**6
LLM = ("generation", "generation_retry", "fallback", "critic", "embed_retrieval", "embed_dedup")

D = Decimal


def prices(model: str) -> Tariff:
    given = GOLDEN["prices_usd_per_mtok"][model]
    return Tariff(D(given["input"]), D(given.get("cache_read", given["input"])), D(given.get("output", "0")))


def used(row: str) -> Usage:
    """All calls of a row as one usage: prices are linear."""
    given = GOLDEN["usage"][row]
    return Usage(
        model=given["model"], stage=row, input_tokens=given["input"], cached_tokens=given.get("cached", 0),
        output_tokens=given.get("output", 0),
    )  # fmt: skip


def costs() -> dict[str, Decimal]:
    """USD of every row of the example, priced here."""
    usage = GOLDEN["usage"]
    hour = D(3600)
    return {
        **{row: prices(used(row).model).cost(used(row)) for row in LLM},
        "vector_db": D(RATES["vector_db_usd_per_m_queries"]) * usage["vector_db"]["queries"] / MILLION,
        "compute": D(RATES["compute_usd_per_h"]) * D(usage["compute"]["hours"]),
        "observability": D(RATES["observability_usd_per_m_spans"]) * usage["observability"]["spans"] / MILLION,
        "human_review": D(RATES["human_usd_per_h"])
        * RATES["human_s_per_record"]
        * usage["human_review"]["records"]
        / hour,
    }


def split(stage: str, usd: Decimal, fates: dict[Fate, int], outcome: str = "ok") -> list[Line]:
    """A row in lines by fate, in proportion to how many candidates of each it was spent on."""
    total = sum(fates.values())
    return [Line(stage=stage, usd=usd * n / total, fate=fate, outcome=outcome, calls=n) for fate, n in fates.items()]


def lines() -> list[Line]:
    """The ledger of the example; a retry replaces a reply that failed, and is waste."""
    usd, n = costs(), CASCADE
    late = {
        Fate.USEFUL: n["accepted"],
        Fate.HUMAN_REJECTED: n["unique"] - n["accepted"],
        Fate.DUPLICATE: n["passed"] - n["unique"],
    }
    judged = {**late, Fate.CRITIC_REJECTED: n["parsed"] - n["passed"]}
    tried = {**judged, Fate.PARSE_FAILED: n["attempts"] - n["parsed"]}
    queries = GOLDEN["usage"]["vector_db"]["queries"]
    seen, rejected = (GOLDEN["usage"]["human_review"][key] for key in ("records", "rejected"))
    return [
        *split("generate", usd["generation"], tried),
        *split("generate", usd["generation_retry"], {Fate.PARSE_FAILED: 400}, "retry"),
        *split("generate", usd["fallback"], tried, FALLBACK),
        *split("critic", usd["critic"], judged),
        *split("embed", usd["embed_retrieval"], tried),
        *split("embed", usd["embed_dedup"], late),
        *split("vector_db", usd["vector_db"] * n["attempts"] / queries, tried),
        *split("vector_db", usd["vector_db"] * n["passed"] / queries, late),
        *split("compute", usd["compute"], tried),
        *split("observability", usd["observability"], tried),
        *split("human", usd["human_review"], {Fate.USEFUL: seen - rejected, Fate.HUMAN_REJECTED: rejected}),
    ]


@pytest.fixture(scope="module")
def found() -> CogsStatement:
    return statement(lines(), revenue_usd=D(repr(EXPECTED["margin"]["price_per_record"])) * CASCADE["accepted"])


def cents(usd: Decimal) -> str:
    return str(usd.quantize(D("0.01")))


def four_digits(value: float) -> str:
    return f"{value:.4g}"


def test_every_row_costs_what_the_example_says() -> None:
    assert costs() == {row: D(usd) for row, usd in EXPECTED["usd"].items()}


def test_the_statement_has_the_example_s_totals_by_nature_and_by_fate(found: CogsStatement) -> None:
    assert found.cogs_usd == D(EXPECTED["total_usd"]) == sum(costs().values(), D(0))
    assert found.machine_usd == D(EXPECTED["machine_usd"])
    assert (cents(found.cogs_usd), cents(found.machine_usd)) == (
        EXPECTED["total_usd_2dp"], EXPECTED["machine_usd_2dp"],
    )  # fmt: skip
    useful = next(line for line in found.by_fate if line.fate is Fate.USEFUL)
    assert useful.machine_usd == D(EXPECTED["useful_machine_usd"])
    assert found.waste_usd == D(EXPECTED["waste_machine_usd"])
    assert found.waste_share == pytest.approx(EXPECTED["waste_share"], abs=1e-6)
    row = {line.nature: line.usd for line in found.by_nature}
    usd = {name: D(text) for name, text in EXPECTED["usd"].items()}
    assert row[Nature.GENERATION] + row[Nature.RETRIES] == usd["generation"] + usd["generation_retry"] + usd["fallback"]
    assert row[Nature.RETRIES] == usd["generation"] * 5 / 100 + usd["generation_retry"] + usd["fallback"]
    assert row[Nature.EMBEDDINGS] == usd["embed_retrieval"] + usd["embed_dedup"]
    assert row[Nature.HUMAN] == usd["human_review"]


def test_costs_a_record_and_margins_are_the_example_s(found: CogsStatement) -> None:
    margin = EXPECTED["margin"]
    price = D(repr(margin["price_per_record"]))
    unit, machine = found.cogs_usd / CASCADE["accepted"], found.machine_usd / CASCADE["accepted"]
    assert float(unit) == pytest.approx(EXPECTED["usd_per_accepted"], rel=1e-6)
    assert float(machine) == pytest.approx(EXPECTED["machine_usd_per_accepted"], rel=2e-6)
    assert gross_margin(price, machine) == pytest.approx(margin["gm_now"], abs=5e-5)
    assert found.gross_margin == pytest.approx(float(1 - unit / price), rel=1e-12)


def test_the_fixed_human_sample_is_the_example_s() -> None:
    seen, rejected = (GOLDEN["usage"]["human_review"][key] for key in ("records", "rejected"))
    plan = fixed_sample(
        1 - rejected / seen, half_width=0.01, seconds_each=D(RATES["human_s_per_record"]),
        usd_per_hour=D(RATES["human_usd_per_h"]),
    )  # fmt: skip
    expected = EXPECTED["human_fixed_sample"]
    assert (plan.n, cents(plan.usd)) == (expected["n"], expected["usd"])
    assert cents(D(EXPECTED["linear_machine_usd_per_TB_2dp"]) + plan.usd) == expected["machine_plus_sample_per_TB_2dp"]


@pytest.mark.parametrize(
    ("name", "low", "high", "times"),
    [("80to95_10x", 0.80, 0.95, 10), ("95to99_10x", 0.95, 0.99, 10), ("80to99_100x", 0.80, 0.99, 100)],
)
def test_the_claims_about_predictivity_have_the_example_s_exponents(
    name: str, low: float, high: float, times: int
) -> None:
    k = Curve.between((low, D(1)), (high, D(times))).k
    assert k == pytest.approx(EXPECTED["predictivity_k"][name], abs=5e-5)


def test_the_accuracy_collapse_is_the_example_s(found: CogsStatement) -> None:
    margin = EXPECTED["margin"]
    seen, rejected = (GOLDEN["usage"]["human_review"][key] for key in ("records", "rejected"))
    k = EXPECTED["predictivity_k"]["80to99_100x"]
    curve = Curve.through(1 - rejected / seen, found.machine_usd / CASCADE["accepted"], k=k)
    budget = allowed(D(repr(margin["price_per_record"])), D(repr(margin["target_gm"])))
    assert curve.fidelity(float(budget)) == pytest.approx(margin["accuracy_collapse"], rel=1e-6)


@pytest.mark.parametrize("beta", EXPECTED["margin"]["volume_collapse_GB_by_beta"])
def test_the_volume_collapse_is_the_example_s_for_every_beta(found: CogsStatement, beta: str) -> None:
    margin = EXPECTED["margin"]
    budget = float(allowed(D(repr(margin["price_per_record"])), D(repr(margin["target_gm"]))))
    growth = Growth.through(CASCADE["attempts"], CASCADE["accepted"], beta=float(beta))
    records = growth.collapse(budget, float(found.machine_usd / CASCADE["attempts"]))
    gigabytes = records * EXPECTED["bytes_per_record"] / 10**9
    assert four_digits(gigabytes) == four_digits(margin["volume_collapse_GB_by_beta"][beta])


def test_make_or_buy_is_the_example_s() -> None:
    expected = EXPECTED["self_host"]
    gpu = Gpu(
        usd_per_hour=D(repr(expected["gpu_usd_h"])), tokens_per_second=D(expected["tok_s"]),
        overhead=D(repr(expected["overhead"])) - 1,
    )  # fmt: skip
    own, api = gpu.usd_per_million(D(repr(expected["util"]))), api_per_million(prices("gen"), used("generation"))
    assert float(own) == pytest.approx(expected["usd_per_mtok"], abs=1e-6)
    assert float(api) == pytest.approx(expected["api_usd_per_m_output_allin"], abs=1e-6)
    volume = break_even_volume(D(expected["fixed_usd"]), api=api, own=own).at
    assert volume is not None and float(volume) == pytest.approx(expected["breakeven_m_output_tokens"], rel=1e-6)
    threshold = idle_threshold(gpu, api=api).at
    assert threshold is not None and float(threshold) == pytest.approx(float(D("0.7") * own / api), rel=1e-12)

    calls = GOLDEN["usage"]["generation"]["calls"]
    small = small_model_yield(
        api_yield=D(repr(EXPECTED["yields"]["overall"])),
        api_usd=costs()["generation"] / calls,
        small_usd=own * used("generation").output_tokens / calls / MILLION,
        critic_usd=costs()["critic"] / GOLDEN["usage"]["critic"]["calls"],
    ).at
    assert small is not None and float(small) == pytest.approx(EXPECTED["slm_breakeven_yield"], abs=1e-6)


def test_caches_break_even_where_the_example_says() -> None:
    for name, write in (("5m_1.25x", "1.25"), ("1h_2x", "2")):
        uses = cache_uses(write=D(write), read=D("0.1")).at
        assert uses is not None
        assert round(float(uses), 4) == EXPECTED["cache_breakeven_uses"][name]


def test_a_set_up_pays_against_people_after_the_example_s_records() -> None:
    record = D(repr(EXPECTED["usd_per_accepted"]))
    assert people_break_even(D(25_000), person=D("3.50"), record=record).whole == 7173


BASELINE_NAMES = {
    "draft_30wpm_15": "draft_typing",
    "polished_300wph_25": "polished",
    "expert_300wph_95": "expert",
    "curate_existing": "curate_existing",
}


def test_people_cost_what_the_example_says_by_all_four_baselines() -> None:
    by_name = EXPECTED["human_baseline_usd_per_TB_2dp"]
    assert {name: cents(baseline(ours).usd(TERABYTE)) for name, ours in BASELINE_NAMES.items()} == by_name


@pytest.mark.parametrize(("name", "times"), [("curate_existing", 180), ("draft_typing", 546)])
def test_the_ratio_to_people_is_the_example_s(name: str, times: int) -> None:
    ratio = replacement_ratio(D(EXPECTED["heaps"]["usd_per_TB_2dp"]), baseline(name)).times
    assert ratio is not None and round(ratio) == times


def test_the_cache_saved_nine_tenths_of_what_was_read_from_it() -> None:
    usage, gen = used("generation"), prices("gen")
    without = without_cache(gen)(usage)
    assert without is not None and without - gen.cost(usage) == D("1.8")
