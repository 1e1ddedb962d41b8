"""Made-up viability, collapse and known answers, with the numbers of a corpus of which a fifth was copied."""

from __future__ import annotations

import math
from dataclasses import replace

from proofset.measuring.findings import Curve, Finding, Outcome
from proofset.nouns.result import Better, Measure
from proofset.nouns.viability import Alarm, Collapse, Component, Crossing, Decay, Generation, Viability

PROTOCOL = "SVQ-1[minilm;n0=100;m=400;k=5;Kc=100;ρ=.5;τ=.1;r≤64]"
COMPONENTS = (
    ("D", "dispersion", 1.012, 0.965, 1.059, "Varies as much as organic text in every direction."),
    ("M", "distribution match", 0.982, 0.941, 1.023, "At 100 records its error is 2 % above that of organic records."),
    ("F", "fidelity", 0.994, 0.972, 1.016, "Nearly all of it lies where organic text lies."),
    ("K", "coverage", 0.998, 0.990, 1.006, "It reaches nearly everywhere where organic text lies."),
    ("R", "rare-mode retention", 0.934, 0.879, 0.989, "0.7 % of the organic mass has vanished with rare modes."),
    ("A1", "authenticity", 0.796, 0.771, 0.821, "One record in five lies nearer to a training record than chance "
     "allows: about 20 % copies."),
    ("A2", "novelty", 0.803, 0.766, 0.840, "One record in five repeats something that is already there."),
    ("U", "uniqueness", 0.991, 0.983, 0.999, "Nearly no record repeats another one."),
)  # fmt: skip


def ratio(name: str, value: float | None, low: float | None = None, high: float | None = None, note: str = "",
          n: int = 10_000) -> Measure:  # fmt: skip
    return Measure(name=name, value=value, low=low, high=high, n=n, better=Better.HIGHER, note=note)


def component(key: str, name: str, value: float | None, low: float | None = None, high: float | None = None,
              words: str = "", note: str = "") -> Component:  # fmt: skip
    error = (high - low) / 4.5 if low is not None and high is not None else None
    return Component(key=key, measure=ratio(name, value, low, high, note), error=error, words=words)


def viability(*, companion: bool = True) -> Viability:
    """A fifth of the corpus was copied from the training records."""
    lift = component("Y", "training lift", -0.12, -0.21, -0.03, "Beside what was there already, it teaches nothing.")
    return Viability(
        protocol=PROTOCOL,
        encoder="all-MiniLM-L6-v2",
        quotient=ratio("SVQ", 0.8, 0.771, 0.822),
        verdict=Crossing.NOT_CROSSED,
        threshold=0.9,
        weakest="A1",
        components=tuple(component(*each) for each in COMPONENTS),
        companion=lift if companion else None,
        sizes=(10_000, 10_000, 10_000, 10_000),
        needed=None,
        saturation=5_460.0,
        equivalent=3_530.0,
        notes=("Holds for this encoder alone.", "The generator was gated by another encoder (static)."),
    )


def fresh() -> Viability:
    """Organic records in the synthetic ones' place, too few to decide."""
    values = {"D": 1.003, "M": 1.01, "F": 0.998, "K": 1.001, "R": 0.981, "A1": 1.015, "A2": 0.99, "U": 0.999}
    parts = [component(key, name, values[key], values[key] - 0.05, values[key] + 0.05, "As organic text.")
             for key, name, *_ in COMPONENTS]  # fmt: skip
    parts[4] = component("R", "rare-mode retention", 0.981, 0.829, 1.133, "No rare mode is missed beyond chance.")
    return replace(
        viability(companion=False), quotient=ratio("SVQ", 1.0, 0.829, 1.012), verdict=Crossing.UNDECIDED, weakest="R",
        components=tuple(parts), sizes=(2275, 2275, 2275, 2275), needed=6100, saturation=None, equivalent=2275.0,
    )  # fmt: skip


def odd() -> Viability:
    """Values that were not taken, huge ones, zeros and ones without an interval, under long names."""
    parts = (
        component("D", "dispersion parity over sixty-four directions and the rest", 2.31, 2.2, 2.42, "Too wide."),
        component("M", "match of distributions at the declared scale", 0.0, 0.0, 0.0, "Another distribution."),
        component("F", "fidelity against the control, clipped radii", None, note="fewer than 400 synthetic records"),
        component("K", "coverage against the control, clipped radii", 0.91, words="No interval: one batch."),
        component("R", "rare-mode retention at a tenth of the mass", 0.8961, 0.88, 0.8999, "Just below."),
        component("A1", "authenticity towards the training records", 9.2, 1.1, 17.3, "Copies the reference."),
        component("A2", "novelty towards everything that was sealed", 0.0, 0.0, 0.011, "Nothing is new."),
        component("U", "internal uniqueness within the full corpus", math.nan, note="not a number"),
    )
    lift = component("Y", "marginal training lift by a bigram model", -0.67, -0.75, -0.59, "It takes away.")
    return replace(
        viability(), quotient=ratio("SVQ", 0.0, 0.0, 0.008), weakest="M", components=parts, companion=lift,
        saturation=20.3, equivalent=None, slice="a slice whose name is as long as names of slices of tickets become",
    )  # fmt: skip


def untaken() -> Viability:
    why = "fewer than 400 records in the control"
    parts = tuple(component(key, name, None, note=why) for key, name, *_ in COMPONENTS)
    return replace(
        viability(companion=False), quotient=ratio("SVQ", None, note=why), verdict=Crossing.UNDECIDED, weakest="",
        components=parts, saturation=None, equivalent=None, slice="returns",
    )  # fmt: skip


def sliced() -> list[Viability]:
    fine = replace(fresh(), slice="billing", verdict=Crossing.CROSSED, quotient=ratio("SVQ", 1.005, 0.971, 1.013))
    return [fine, viability(), replace(odd(), slice="fraud"), untaken()]


RARE = (1.0, 0.668, 0.533, 0.44, 0.37, 0.327, 0.30, 0.27, 0.24, 0.22, 0.203)
RANK = (1.0, 0.93, 0.855, 0.79, 0.735, 0.686, 0.64, 0.60, 0.56, 0.53, 0.50)


def collapse(last: int = 5, directions: int = 64, *, alarmed: bool = True) -> Collapse:
    """A loop that learns from its own last batch of 300: the tails go first, variance last."""
    made = tuple(_generation(number, directions, lost=1.0 if alarmed else 0.02) for number in range(last + 1))
    alarms = (
        Alarm(of="variance", scores=(0.0,) * last, limit=5.0, raised=None if last < 6 or not alarmed else 6),
        Alarm(of="rank", scores=(0.0,) * last, limit=5.0, raised=2 if alarmed and last > 1 else None),
        Alarm(of="rare modes", scores=(0.0,) * last, limit=5.0, raised=2 if alarmed and last > 1 else None),
    )
    return Collapse(
        protocol="DMC-1[minilm;Kc=200;r≤64]",
        encoder="all-MiniLM-L6-v2",
        generations=made,
        decays=_decays() if alarmed else (),
        alarms=alarms,
        collapsing=alarmed,
        projected=ratio("DMC in 10 generations", 0.8 if alarmed else 0.04, 0.74, 0.85),
        signature="sampling" if alarmed else "",
        signature_p=0.34 if alarmed else None,
        tail_records=120.0 if alarmed else None,
        advice=("Keep all organic records in every generation: the loss then stays below π²/6M = 0.5 %.",
                "Or raise the batch: at 3,000 records a generation the half-life of variance is 2,080 generations."),
        notes=("Generation 0 is organic.",),
    )  # fmt: skip


def _generation(number: int, directions: int, lost: float) -> Generation:
    rare = 1 - lost * (1 - (RARE[number] if number < len(RARE) else 2.2 / number))
    rank = 1 - lost * (1 - (RANK[number] if number < len(RANK) else 0.5 * 0.96 ** (number - 10)))
    variance = 1 - lost * (1 - 0.9933**number)
    worst = min(variance, rank, rare)
    wave = [0.05 * math.sin(1.7 * each + 0.9 * number * (each % 5)) for each in range(directions)]
    return Generation(
        number=number, n=300,
        retention=tuple(max(0.0, variance**2 * (1 - lost * 0.006 * number * each / 8) + sway)
                        for each, sway in enumerate(wave)),
        variance=ratio("A", variance, variance - 0.02, variance + 0.02, n=300),
        rank=ratio("ER", rank, rank - 0.035, rank + 0.035, n=300),
        rare=ratio("TS", rare, max(0.0, rare - 0.06), rare + 0.06, n=300),
        vendi=ratio("V2", 1 - lost * (1 - 0.991**number), 1 - 0.05 - 0.009 * number * lost, 1.04, n=300),
        loss=ratio("DMC", 1 - worst, max(0.0, 1 - worst - 0.06), min(1.0, 1 - worst + 0.06), n=300),
        leads="" if number == 0 else "rare modes",
    )  # fmt: skip


def _decays() -> tuple[Decay, ...]:
    none = ratio("plateau", None, note="no plateau fits better")
    return (
        Decay(of="variance", rate=ratio("rate", 0.0067, 0.0031, 0.0103), half_life=ratio("half-life", 103, 67, 224),
              plateau=none),
        Decay(of="rank", rate=ratio("rate", 0.0754, 0.0622, 0.0886), half_life=ratio("half-life", 9.2, 7.8, 11.1),
              plateau=ratio("plateau", 0.27, 0.2, 0.34)),
        Decay(of="rare modes", rate=ratio("rate", 0.2236, 0.1, 0.3472), half_life=ratio("half-life", 3.1, 2.0, 6.9),
              plateau=none),
        Decay(of="mean log direction", rate=ratio("rate", 0.001, -0.002, 0.004),
              half_life=ratio("half-life", None, note="no decay detected"), plateau=none),
    )  # fmt: skip


def findings() -> list[Finding]:
    xs = tuple(float(x) for x in range(0, 51, 2))
    exact = tuple(0.99**x for x in xs)
    seen = tuple(0.99**x + 0.004 * math.sin(x) for x in xs)
    replace_curve = Curve(name="variance", x=xs, expected=exact, measured=seen, x_label="generation",
                          y_label="variance (organic = 1)")  # fmt: skip
    drift = Curve(name="squared mean", x=xs, expected=tuple(1 - y for y in exact), measured=tuple(1 - y for y in seen),
                  x_label="generation", y_label="squared distance of the mean")  # fmt: skip
    good = Finding(
        id="C-01", title="Gaussian, each generation replaces the last", source="Alemohammad et al. 2023; derived",
        words="A corpus that replaces itself loses one part in M of its variance a generation.", runs=20_000,
        outcomes=(Outcome(name="variance after 50", expected=0.605, measured=0.6054, tolerance=0.0225),
                  Outcome(name="mean logarithm after 50", expected=-1.0093, measured=-1.0075, tolerance=0.029)),
        curves=(replace_curve, drift),
    )  # fmt: skip
    off = Outcome(name="Gini–Simpson", expected=0.0484, measured=0.0603, tolerance=0.0015)
    bad = replace(good, id="C-13", title="Part real, part synthetic", curves=(), outcomes=(off,))
    return [good, bad]


def described() -> list[tuple[Measure, Measure]]:
    def one(name: str, value: float | None, low: float | None, high: float | None, better: Better) -> Measure:
        return Measure(name=name, value=value, low=low, high=high, n=50_000, better=better)

    return [
        (one("distinct-2", 0.412, 0.405, 0.419, Better.HIGHER), one("distinct-2", 0.468, 0.461, 0.475, Better.HIGHER)),
        (one("compression ratio", 3.41, None, None, Better.LOWER), one("compression ratio", 2.87, 2.8, 2.94,
                                                                       Better.LOWER)),
        (one("Zipf tail exponent", None, None, None, Better.NEITHER), one("Zipf tail exponent", 1.96, 1.9, 2.02,
                                                                          Better.NEITHER)),
    ]  # fmt: skip
