from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from tests.reporting.outline import Outline

from proofset.config import Study
from proofset.costing.pilot import Pilot
from proofset.nouns.candidate import Decision, Verdict
from proofset.nouns.event import BriefClosed, Event, Finished, Judged, Proposed, Spent
from proofset.nouns.result import Usage
from proofset.reporting import html, pages
from proofset.reporting.prospect import Prospect

HOSTILE = (
    "<script>alert('x')</script>\"'><img src=x onerror=alert(1)> \u202eשלום עולם 🚀 {{ 7*7 }} \ud800\x00" + "w" * 3000
)


def test_a_whole_run_is_told_in_order(study: Study, sms: Sequence[Event]) -> None:
    outline = Outline(html.render(study, sms))
    assert not outline.open
    text = outline.text
    headings = ["Can fifteen spam", "Where the data starve", "The judges on trial",
                "What was made, and what was refused", "Is it viable?",
                "What it cost", "Does it help?", "How this was made"]  # fmt: skip
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    for fragment in (
        "+ judged, chosen weight helps : starved slices at equal rest +6.4 (+4.9 to +7.9, n = 546); elsewhere −0.2 (",
        "each arm’s threshold is moved until it loses no more of the rest than the baseline",
        "Starved slices, as tuned",
        "“+ unjudged”, “+ judged”, “+ judged, chosen weight” with “organic”", "organic strength 10, added weight 0.25",
        "218 / 480", "40.0 % 19.8 % to 64.3 % , n = 15", "after critic", "wrong label: 33", "briefs spent",
        "Good organic records: what each judge costs",
        "proposed by SmolLM2-135M-Instruct.Q4_1.gguf", "fewer than 10 organic records",
        "$0.0024 in all; $0.000011 for each of 218 accepted", "at $0.05 a core-hour",
        "refused: copy-of-organic", "edge offset +0.4",
        "proofset 0.1.0 on Python 3.12.8", "3 min 34 s", "withheld on purpose",
    ):  # fmt: skip
        assert fragment in text, fragment
    assert "Not done yet" not in text


def test_the_trial_is_a_matrix_with_the_cascade_beside_the_judges(study: Study, sms: Sequence[Event]) -> None:
    low = study.model_copy(
        update={"synthesize": study.synthesize.model_copy(update={"floors": {"critic": {"wrong label": 0.9}}})}
    )
    page = html.render(low, sms)
    text = Outline(page).text.replace("\u00a0", " ")
    for fragment in (
        "The cascade refuses 87 % (76 to 93) of planted wrong labels, and 10 % (5 to 20) of good records.",
        "wrong label 87 % (76 to 93) n = 60",
        "critic 85 % (74 to 92) n = 60 , at least 90 % asked for ▼ below its floor",
        "forbidden – no rule at hand", "contradicts itself asked twice about a good record",
        "negated 20 % (12 to 32) n = 60", "contradicted texts refused least of all 91 % (89 to 93)",
        "53 % (48 to 58)", "in no figure of the cascade: critic model.",
        "The critic refuses at least 74% of planted wrong labels, 90% asked for.",
    ):  # fmt: skip
        assert fragment in text, fragment
    assert '<tr class="whole"><th scope="row">cascade' in page
    assert "No judge is below its floor" in Outline(html.render(study, sms)).text


def test_how_the_briefs_were_written_and_a_refusal_of_each_judge(study: Study, sms: Sequence[Event]) -> None:
    text = Outline(html.render(study, sms)).text.replace("\u00a0", " ")
    for fragment in (
        "How the briefs were written", "few-shot records of the slice, and one more 480 218 45 % (41 to 50)",
        "No candidate was revised.", "Slices ended because: briefs spent (1).", "train 480 218", "0 preference pairs.",
        "A refusal by each judge", "cut off after 58 words",
    ):  # fmt: skip
        assert fragment in text, fragment


def test_revisions_and_outputs_and_pairs_are_counted(study: Study, sms: Sequence[Event]) -> None:
    events: list[Event] = []
    for event in sms:
        if isinstance(event, Proposed) and event.number == 0:
            first = replace(event.candidate, id="first", text="Win a prize in our weekly draw of lucky numbers")
            told = Verdict(
                judge="critic model", candidate_id="first", decision=Decision.REVISE, reason="unnatural",
                critique="Nobody writes so.", evidence=("rule 3",),
            )  # fmt: skip
            events += [replace(event, candidate=first), Judged(verdict=told)]
            events.append(replace(event, candidate=replace(event.candidate, parent="first")))
        elif isinstance(event, BriefClosed) and event.number == 0:
            events.append(replace(event, winner="spam-0", reason=""))
        else:
            events.append(event)
    text = Outline(html.render(study, events)).text.replace("\u00a0", " ")
    assert "1 candidates were revised" not in text and "1 candidate was revised" in text
    assert "1 preference pair: 1 of a text and its revision" in text
    assert "nobody would write so Nobody writes so. evidence: rule 3" in text
    assert "481" in text


def test_same_events_same_bytes_and_time_only_when_given(study: Study, sms: Sequence[Event]) -> None:
    assert html.render(study, sms) == html.render(study, list(sms))
    assert "Rendered 2026-01-02" in html.render(study, [], now="2026-01-02")
    assert "Rendered" not in html.render(study, [])


def test_the_page_asks_nobody_for_anything(study: Study, cwe: Sequence[Event]) -> None:
    page = html.render(study, cwe)
    outline = Outline(page)
    addresses = {value for name, value in outline.attributes if name in ("href", "src", "xlink:href", "action", "data")}
    assert {each for each in addresses if not each.startswith("#")} == {"data:,"}
    assert not re.search(r"url\((?!#)|@import|https?://", page)
    assert {"img", "iframe", "object", "form"}.isdisjoint(outline.tags)
    assert "default-src 'none'" in page


def test_all_ids_are_unique(study: Study, sms: Sequence[Event]) -> None:
    ids = [value for name, value in Outline(html.render(study, sms)).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_hostile_texts_are_shown_and_do_nothing(study: Study, sms: Sequence[Event]) -> None:
    events: list[Event] = []
    for event in sms:
        if isinstance(event, Proposed):
            events.append(replace(event, candidate=replace(event.candidate, text=HOSTILE)))
        elif isinstance(event, Judged):
            events.append(replace(event, verdict=replace(event.verdict, critique=HOSTILE)))
        else:
            events.append(event)
    events.append(Spent(usage=Usage(model=HOSTILE, stage=HOSTILE)))
    page = html.render(study.model_copy(update={"title": HOSTILE, "question": HOSTILE}), events)
    page.encode("utf-8")
    outline = Outline(page)
    assert outline.tags.count("script") == 1, "ours"
    assert "img" not in outline.tags
    assert not {name for name, _ in outline.attributes if name.startswith("on")}
    assert "<script>alert('x')</script>" in outline.text
    assert "{{ 7*7 }}" in outline.text
    assert "\x00" not in page


def test_the_policy_names_our_script_by_its_hash(study: Study) -> None:
    import base64
    import hashlib

    page = html.render(study, [])
    script = re.search(r"<script>(.*)</script>", page, flags=re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#43;", "+").replace("&#39;", "'")


def test_a_run_that_has_only_begun_says_what_to_do_next(study: Study, early: Sequence[Event]) -> None:
    text = Outline(html.render(study, early)).text
    for verb in ("calibrate", "synthesize", "measure", "cost", "train"):
        assert f"Not done yet: run proofset {verb}" in text
    assert "Whether the data help is not known yet" in text
    assert "Spam ◆ starved" in text


def test_an_empty_run_and_an_interrupted_one_still_render(study: Study, sms: Sequence[Event]) -> None:
    assert "Not done yet: run proofset ingest" in Outline(html.render(study, [])).text
    cut = next(place for place, event in enumerate(sms) if isinstance(event, Finished) and event.verb == "synthesize")
    text = Outline(html.render(study, sms[: cut - 100])).text
    assert "The loop is not finished" in text
    assert "still at work" in text
    assert "Booked so far: $0.00" in text


def test_every_prefix_of_the_log_renders(study: Study, sms: Sequence[Event]) -> None:
    for cut in range(0, len(sms), 331):
        assert not Outline(html.render(study, sms[:cut])).open


def test_many_slices_fold_after_twenty(study: Study, cwe: Sequence[Event]) -> None:
    outline = Outline(html.render(study, cwe))
    assert "The other 50 slices" in outline.text
    assert ("data-filter", "Find a slice") in outline.attributes
    assert outline.text.count("CWE-503: improper") >= 1, "the last slice is folded, not lost"


def test_contrast_of_text_is_at_least_four_and_a_half_to_one() -> None:
    sheet = pages.part("page.css")
    blocks = re.findall(r":root \{([^}]*--paper[^}]*)\}", sheet)
    assert len(blocks) == 3, "light, dark, print"
    for block in blocks:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", block))
        for ink in ("ink", "muted", "accent", "helps", "harms"):
            for ground in ("paper", "raised"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, block)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_arms_are_shown_with_the_baseline_they_were_compared_with(study: Study, defined: Sequence[Event]) -> None:
    text = Outline(html.render(study, defined)).text
    assert "+ judged against + definitions" in text
    assert "“+ definitions” with “organic”; “+ unjudged”" in text


def test_long_samples_are_cut_and_lone_zeros_have_no_interval(study: Study, sms: Sequence[Event]) -> None:
    events = [
        replace(event, candidate=replace(event.candidate, text="sexy " * 400)) if isinstance(event, Proposed) else event
        for event in sms
    ]
    text = Outline(html.render(study, events)).text
    assert max(map(len, re.findall(r"(?:sexy ?)+", text))) <= 500
    assert "sexy…" in text
    assert not re.search(r"(?<![\d.,])0 to 0(?![\d.,])", text), "of records needed where none are"


def test_work_without_words_is_folded_away_and_no_author(study: Study, sms: Sequence[Event]) -> None:
    usage = Usage(model="this machine", stage="audit", core_seconds=1.0)
    text = Outline(html.render(study, [*sms, Spent(usage=usage)])).text
    assert "Work that took no words of a model (1)" in text
    assert "proposed by SmolLM2-135M-Instruct.Q4_1.gguf ; the judges" in text


def test_the_page_shows_what_more_would_cost(
    study: Study, sms: Sequence[Event], promised: Prospect, pilot: Pilot
) -> None:
    page = html.render(study, sms, prospect=promised, pilot=pilot)
    outline = Outline(page)
    assert not outline.open
    for words in (
        "Where the attempts and the dollars went", "AI COGS of this run: $0.0024", "What more of it would cost",
        "one ratio in three units. Basis: cluster bootstrap of 40 seed documents", "What drives the spread",
        "typing a draft, 30 words a minute at $15 an hour S: from a secondary source",
        "In no figure from here on: $0.02",
        "Kind of answer", "a band, to 100 times", "$60.00", "point",
    ):  # fmt: skip
        assert words in outline.text, words
    assert page == html.render(study, list(sms), prospect=promised, pilot=pilot)
    ids = [value for name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_run_that_promises_nothing_says_why_in_one_sentence(study: Study, sms: Sequence[Event]) -> None:
    page = html.render(study, sms, why_not="an attempt has no <b>price</b>")
    assert "This run promises nothing: an attempt has no &lt;b&gt;price&lt;/b&gt;." in page
    assert "Kind of answer" not in page


def test_before_the_statement_there_is_no_outlook(study: Study, early: Sequence[Event]) -> None:
    assert "What more of it would cost" not in Outline(html.render(study, early, why_not="x")).text


def test_the_calculator_reads_without_scripts(study: Study, sms: Sequence[Event]) -> None:
    outline = Outline(html.render(study, sms))
    assert "$0.000011 an accepted record · $0.024 for 2,180 records, linear" in outline.text
    assert "Linear, at the rates of this run" in outline.text
    told = dict(outline.attributes)
    assert float(told["data-generation"]) == 4.9e-6
    assert outline.tags.count("input") == 3, "no judge cost anything"
    assert ("hidden", "") in outline.attributes, "what needs a script is not shown without"


def test_without_a_price_there_is_no_calculator(study: Study, sms: Sequence[Event]) -> None:
    first = next(event for event in sms if isinstance(event, Spent))
    unpriced = Spent(usage=replace(first.usage, usd=None))
    begun = next(place for place, event in enumerate(sms) if event is first)
    page = html.render(study, [*sms[:begun], unpriced, *sms[begun:]])
    text = Outline(page).text
    assert "No calculator: a call has no known price" in text
    assert "1 call for these attempts has no known price: every amount is a lower bound" in text
    assert "AI COGS of this run: at least $0.0024" in text


def test_script_and_page_name_the_same_things(study: Study, sms: Sequence[Event]) -> None:
    brief = next(event.brief_id for event in sms if isinstance(event, BriefClosed))
    judged = Spent(usage=Usage(model="m", stage="critic", brief_id=brief, usd=Decimal("0.1")))
    begun = next(place for place, event in enumerate(sms) if isinstance(event, BriefClosed))
    page, script = html.render(study, [*sms[:begun], judged, *sms[begun:]]), pages.part("page.js")
    attributes = Outline(page).attributes
    assert set(re.findall(r'rate\("(\w+)"\)', script)) == {"generation", "other", "judging", "accepted"}
    assert {f"data-{name}" for name in ("generation", "other", "judging", "accepted")} <= {
        name for name, _ in attributes
    }
    for call, attribute in (("typed", "data-name"), ("show", "data-out")):
        assert set(re.findall(rf'\b{call}\("(\w+)"', script)) == {v for name, v in attributes if name == attribute}
