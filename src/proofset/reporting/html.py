"""A run as one self-contained page: no request to anywhere, readable without scripts, on paper and on a phone.

Candidate texts are hostile input: every text is escaped, laid out apart from its neighbours, and the page's own policy
forbids any script but ours. The same events give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from proofset.config import Study
from proofset.costing.pilot import Pilot
from proofset.nouns.event import Event
from proofset.reporting import plots
from proofset.reporting.costcurve import forecasts_of
from proofset.reporting.measures import viability_section
from proofset.reporting.outlook import outlook
from proofset.reporting.pages import TOP, environment, part
from proofset.reporting.prospect import Prospect
from proofset.reporting.provenance import key_figures, limits, settings
from proofset.reporting.story import Findings, findings, since
from proofset.reporting.trial import SHARES
from proofset.reporting.words import APART
from proofset.reporting.writing import STRATEGY_WORDS, preference_pairs
from proofset.synthesizing.calibration import CONTRADICTS


def render(
    study: Study,
    events: Sequence[Event],
    *,
    now: str = "",
    prospect: Prospect | None = None,
    pilot: Pilot | None = None,
    why_not: str = "",
) -> str:
    """The page. ``now`` is printed at its foot when given; without it the same arguments give the same bytes.

    ``prospect`` is what the run promises, and ``pilot`` the run as that rests on it, to draw the cost of more of it;
    where there is none, ``why_not`` says why.
    """
    found = findings(study, events)
    script = part("page.js")
    page = environment().get_template("page.html.j2")
    return page.render(
        found=found,
        study=study,
        now=now,
        top=TOP,
        key_figures=key_figures(found),
        limits=limits(found, study),
        settings=settings(study),
        shares=SHARES,
        contradicts=CONTRADICTS,
        strategy_words=STRATEGY_WORDS,
        output_words=APART,
        pairs=preference_pairs(study, since(events, "synthesize")),
        figures=_figures(found, study),
        quotient=viability_section(found.viability),
        outlook=outlook(events, prospect, forecasts_of(pilot, study.seed) if pilot else (), why_not)
        if found.cost
        else None,
        slice_titles={each.slice: each.title or each.slice for each in found.deficits},
        style=part("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _figures(found: Findings, study: Study) -> dict[str, str]:
    """The figures whose verbs have been done."""
    return {
        "deficits": plots.deficits_figure(found.deficits) if found.deficits else "",
        "viability": plots.viability_figure(found.pairs) if found.pairs else "",
        "forest": plots.forest_figure(found.proof, study.prove.margin) if found.proof and found.proof.pooled else "",
    }
