"""Papers: the recorded verdicts of all claims, measured again at a click, and the rules as they are written."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import polars as pl
import streamlit as st

from lab import papers, registry
from lab.errors import InputError
from lab.explorers.contract import PAPERS, Topic
from lab.explorers.properties import Choice, Text, seed
from lab.figures.claim_detail import claim_detail
from lab.figures.claim_map import claim_map
from lab.pages.background import Job
from lab.pages.shell import Page
from lab.papers import recorded
from lab.papers.ledger import OPEN, Ledger
from lab.papers.record import UNMEASURABLE, Claim, Paper, Unmeasured
from lab.text import plain

AT_ONCE = 1.0  # seconds that the page waits for measurements before it shows a progress bar
COLORS: dict[str, Literal["green", "red", "gray", "orange"]] = {
    "holds": "green", "fails": "red", papers.BLIND: "red", papers.SHOWN: "green", papers.NOT_SHOWN: "orange",
    papers.REVERSED: "red", OPEN: "gray", UNMEASURABLE: "orange",
}  # fmt: skip
COLUMNS = ["paper", "id", "sentence", "ours", "criterion", "published", "verdict", "here"]
ALL = "all"
NAMED = 6  # claims that the sentence lists by name
CRITERION = {"headline": "Measured", "limit": "Still seen if"}
VIEWS = {"claims": "claims", "rules": "rules", "figures": "published figures"}
CATALOGUE = {each.slug: each for each in papers.catalogue()}

page = Page(Topic(
    name="papers",
    label="Papers",
    room=PAPERS,
    title="What papers promise: does it hold at small scale?",
    properties=[
        Choice(name="paper", label="Paper", options=[ALL, *CATALOGUE],
               names={ALL: "all papers"} | {slug: each.short for slug, each in CATALOGUE.items()}, default=ALL),
        Choice(name="view", label="Show", options=list(VIEWS), names=VIEWS, default="claims"),
        Choice(name="verdict", label="Verdict", options=[ALL, *COLORS], default=ALL),
        Choice(name="kind", label="Kind", options=[ALL, "headline", "claim", "check", "limit"], default=ALL),
        Text(name="search", label="Containing"),
        Text(name="rule", label="Rule"),
        seed(),
    ],
    questions={
        "What holds?": {},
        "Which headlines are not shown?": {"kind": "headline", "verdict": papers.NOT_SHOWN},
        "What does the deviation do?": {"paper": "baselines"},
        "Does a median resist outliers?": {"paper": "mc-grpo"},
        "Learning from eight failures?": {"paper": "ngrpo"},
        "Do several rewards drown one another?": {"paper": "gdpo"},
    },
))  # fmt: skip


@st.cache_resource(show_spinner=False)
def ledger() -> Ledger:
    """The record that ships with the lab, and what was measured on this computer by this dashboard."""
    try:
        return Ledger("runs", recorded.read())
    except InputError as damaged:
        found = Ledger("runs")
        found.note = f"{found.note} {damaged}".strip()
        return found


def begin(identifiers: Sequence[str]) -> None:
    """Measures claims beside the page."""
    wanted = partial(ledger().measure, list(identifiers), page.state["seed"])
    st.session_state[page.key("job")] = Job(wanted)


def working() -> bool:
    """Whether claims are being measured."""
    job: Job | None = st.session_state.get(page.key("job"))
    if job is None:
        return False
    if not job.wait(AT_ONCE):
        return True
    with page.words_of_doors():
        job.answer()
    return False


@st.fragment(run_every=0.4)
def watch(seen: int) -> None:
    """How far the measurements are; each verdict is shown as soon as it is known."""
    job: Job = st.session_state[page.key("job")]
    if job.wait(0) or job.done != seen:
        st.rerun()
    st.progress(job.share, text=f"Measuring: {job.done} of {job.total} claims")
    st.button("Stop after this one", on_click=job.stop, icon=":material/stop:")


def interval(row: dict[str, Any]) -> str:
    """A claim's number with its interval, as text."""
    if row["value"] is None:
        return ""
    if row["low"] == row["high"]:
        return f"{row['value']:.4g}"
    return f"{row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g})"


def reading(table: pl.DataFrame) -> str:
    """The sentence: which headlines are shown, how many claims hold, what differs from the record."""
    promised, ours = (table.filter((pl.col("kind") == "headline") == yes) for yes in (True, False))
    found = {name: promised.filter(verdict=name).height for name in (papers.SHOWN, papers.NOT_SHOWN, papers.REVERSED)}
    if paper is None:
        sentence = "What abstracts promise: " + ", ".join(f"**{number}** {name}" for name, number in found.items())
    else:
        said = [f"is **{row['verdict']}**: {interval(row)}" for row in promised.iter_rows(named=True) if row["value"]]
        sentence = "What the abstract promises " + (said or ["is **not measured yet**"])[0]
    known = ours.filter(~pl.col("verdict").is_in([OPEN, UNMEASURABLE]))
    failed = known.filter(pl.col("verdict") != "holds")["id"].to_list()
    sentence += f". Of {known.height} claims, checks and limits **{known.height - len(failed)} hold**"
    sentence += f" and **{len(failed)} do not** ({listed(failed)})" if failed else ""
    return f"{sentence}.{again(table)}{missing(table)}"


def listed(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def again(table: pl.DataFrame) -> str:
    """What measuring again has found."""
    here = table.drop_nulls("differs")
    other = here.filter("differs")["id"].to_list()
    if here.is_empty():
        return ""
    words = f"{len(other)} differ from the record: {listed(other)}" if other else "none differs from the record"
    return f" Measured again here with seed {state['seed']}: {here.height}; {words}."


def missing(table: pl.DataFrame) -> str:
    """What there is no number of."""
    count = {name: table.filter(verdict=name).height for name in (OPEN, UNMEASURABLE)}
    words = f" {count[OPEN]} are not in the record and were not measured yet." if count[OPEN] else ""
    return words + (f" {count[UNMEASURABLE]} cannot be, for want of a package." if count[UNMEASURABLE] else "")


def of_the_record(table: pl.DataFrame) -> str:
    """Where the numbers come from."""
    days = table["day"].drop_nulls().sort()
    if days.is_empty():
        return ""
    entry = next(iter(ledger().record.values()))
    made = ", ".join(f"{name} {version}" for name, version in entry.versions.items())
    return (f"Recorded {days[0]} to {days[-1]} over {len(entry.runs)} seeds, each claim beside its counter-experiment "
            f"({made}). Single numbers are those of seed {entry.runs[0].seed}.")  # fmt: skip


def claim_card(claim: Claim, row: dict[str, Any], busy: bool) -> None:
    """One claim: what is said, what was found with and without, and the button that measures it again."""
    with st.container(border=True, horizontal=True, key=f"claim-{claim.id}"):
        with st.container(width="stretch", gap="xxsmall"):
            st.markdown(f"**{plain(claim.id)}**  {plain(claim.sentence)}")
            st.caption(plain(f"{CRITERION.get(claim.kind, 'Holds if')}: {claim.criterion}."))
        with st.container(width=270, gap="xxsmall"):
            st.badge(row["verdict"], color=COLORS[row["verdict"]])
            numbers(claim, row)
            with st.container(horizontal=True, gap="small"):
                st.button("Measure", key=page.key(f"run {claim.id}"), on_click=begin, args=([claim.id],), disabled=busy,
                          icon=":material/play_arrow:")  # fmt: skip
                with st.popover("How", icon=":material/search:", key=page.key(f"how {claim.id}")):
                    details(claim)


def numbers(claim: Claim, row: dict[str, Any]) -> None:
    """Value, spread over seeds, counter-experiment, and what was measured here."""
    found = ledger().result(claim.id, state["seed"])
    if row["value"] is not None:
        st.markdown(f"**{plain(interval(row))}**")
    elif isinstance(found, Unmeasured):
        st.caption(plain(found.reason))
    spread = row["least"] is not None and row["least"] < row["most"]
    said = [f"over seeds {row['least']:.4g} to {row['most']:.4g}"] if spread else []
    said += [f"without it {row['without']:.4g}"] if row["without"] is not None else []
    if said:
        st.caption(plain("; ".join(said)))
    if row["value_here"] is not None:
        words = {True: "; differs from the record", False: "; as recorded", None: ""}[row["differs"]]
        st.caption(plain(f"here, seed {state['seed']}: {row['value_here']:.4g}, {row['here']}{words}"))


def details(claim: Claim) -> None:
    """A claim's note, its further numbers and the function that measures it."""
    st.caption(plain(claim.note))
    found = ledger().detail(claim.id, state["seed"])
    if found is not None:
        st.dataframe(found, hide_index=True, key=page.key(f"detail {claim.id}"))
    st.code(claim.code, language="python")


def drawable(paper: Paper) -> dict[str, pl.DataFrame]:
    """What the claims of the paper compared, where it is known and there are numbers in it."""
    found = {c.id: ledger().detail(c.id, state["seed"]) for c in paper.claims}
    return {name: frame for name, frame in found.items()
            if frame is not None and not frame.select(pl.selectors.float()).is_empty()}  # fmt: skip


def published(paper: Paper, own: pl.DataFrame) -> None:
    """The paper's figures beside what was found here."""
    with page.panels():
        with st.container():
            st.subheader("Published", anchor=False)
            if not paper.published:
                st.caption("No figures of this paper could be read.")
            for number, table in enumerate(paper.published):
                st.caption(plain(f"{table.caption}. Source: {table.source}."))
                st.dataframe(table.frame, hide_index=True, key=page.key(f"published {number}"))
        with st.container():
            st.subheader("Measured here", anchor=False)
            st.dataframe(own.select("id", "ours", "verdict", "seconds"), hide_index=True, key=page.key("ours"))
            st.caption("Small worlds, not the paper's models: what can be compared is the direction, not the size.")


def rules_of(paper: Paper) -> dict[str, registry.Rule]:
    """The paper's rules by kind and name, presets left out."""
    found = {f"{rule.name} ({kind})": rule for kind in registry.KINDS for rule in registry.rules(kind).values()
             if rule.paper == paper.slug and "@" not in rule.name}  # fmt: skip
    return found


def rules(paper: Paper) -> None:
    """One of the paper's rules: equation, properties and source."""
    own = rules_of(paper)
    if not own:
        st.caption("No rule of the lab is this paper's own.")
        return
    if st.session_state.get(page.key("rule")) not in own:
        page.set(rule=next(iter(own)))
    chosen = own[st.selectbox("Rule", list(own), key=page.key("rule"), width=320)]
    if chosen.equation:
        st.code(chosen.equation, language=None, wrap_lines=True)
    with st.container(horizontal=True):
        for name in sorted(chosen.properties):
            st.badge(name.replace("_", " "), color="blue", help=registry.PROPERTIES[name])
    st.code(inspect.getsource(chosen.function), language="python")


def about(paper: Paper) -> None:
    """What the paper sets out to mend, and its equations."""
    st.subheader("Mechanism", anchor=False)
    links = " · ".join(f"[{plain(label)}]({address})" for label, address in paper.links.items())
    st.caption(f"{plain(paper.date)} · {links}")
    st.markdown(plain(paper.problem), width=1000)
    st.code("\n".join(f"{name}:  {equation}" for name, equation in paper.equations), language=None, wrap_lines=True)
    st.caption(plain(f"In the lab: {paper.kept} Left out: {paper.left_out} Unknown: {paper.unknown or 'nothing'}"))


def with_ours(table: pl.DataFrame) -> pl.DataFrame:
    """The ledger with value and interval as one text."""
    return table.with_columns(ours=pl.struct("value", "low", "high").map_elements(interval, return_dtype=pl.String))


def filters() -> dict[str, str]:
    """The columns by which claims are chosen, with their values."""
    return {name: state[name] for name in ("verdict", "kind") if state[name] != ALL}


def chosen_rows(table: pl.DataFrame) -> pl.DataFrame:
    """The rows that the filters leave."""
    words = pl.concat_str("paper", "id", "sentence", "criterion", "published", separator=" ").str.to_lowercase()
    return table.filter(words.str.contains(state["search"].lower(), literal=True), **filters())


def open_paper(slugs: Sequence[str]) -> None:
    """Opens the paper of the row that was clicked."""
    rows = st.session_state[page.key("table")]["selection"]["rows"]
    if rows:
        page.set(paper=slugs[rows[0]], view="claims")


def all_papers(table: pl.DataFrame) -> None:
    """The whole ledger: every claim as a mark, and as a row that opens its paper."""
    some = table.drop("ours").filter(**filters())
    if not some.is_empty():
        with page.first:
            page.show(claim_map, some, fill=True)
    st.caption(plain(of_the_record(table)))
    rows = chosen_rows(table)
    st.caption(f"{rows.height} of {table.height} claims. A click on a row opens its paper.")
    text = st.column_config.TextColumn
    widths = {"paper": text(width=110), "id": text(width=130), "sentence": text("claim", width=330),
              "ours": text(width=170), "criterion": text("holds if", width=200), "verdict": text(width=90),
              "published": text("published figure", width=150), "here": text("measured here", width=90)}  # fmt: skip
    st.dataframe(
        rows.select(COLUMNS), hide_index=True, height=min(600, 40 + 35 * rows.height), column_config=widths,
        key=page.key("table"),
        on_select=partial(open_paper, rows["slug"].to_list()), selection_mode="single-row",
    )  # fmt: skip


def one_paper(paper: Paper, own: pl.DataFrame) -> None:
    """A paper's page: its headline, its mechanism, its claims with and without it, its limits."""
    rows = dict(zip(own["id"], own.iter_rows(named=True), strict=True))
    with page.first:
        st.subheader(paper.title, anchor=False)
        for claim in [claim for claim in paper.claims if claim.kind == "headline" and state["view"] == "claims"]:
            claim_card(claim, rows[claim.id], busy)
        if shown in drawn:
            page.show(claim_detail, drawn[shown], fill=True)
    if state["view"] == "rules":
        rules(paper)
    elif state["view"] == "figures":
        published(paper, own)
    about(paper)
    if state["view"] == "claims":
        for words, kind in (("Claims, with and without it", "claim"), ("Limits", "limit")):
            some = [claim for claim in paper.claims if claim.kind == kind]
            if some:
                st.subheader(words, anchor=False)
            for claim in some:
                claim_card(claim, rows[claim.id], busy)


def lines() -> str:
    """The code of the page: its table and its picture, and how all is measured again."""
    some = "" if paper is None else f".filter(slug={paper.slug!r})"
    chosen = "".join(f".filter({name}={value!r})" for name, value in filters().items())
    pictures = [f"lab.figures.claim_map(frame{chosen})"] if paper is None else []
    if shown in drawn and state["view"] == "claims":
        pictures = [f"lab.figures.claim_detail(ledger.detail({shown!r}, seed={state['seed']}))"]
    return "\n".join([
        "import lab",
        "from lab.papers.ledger import Ledger",
        "from lab.papers.recorded import read",
        "",
        'ledger = Ledger("runs", read())  # what ships with the lab, and what was measured here',
        f"frame = ledger.frame(seed={state['seed']}){some}",
        *pictures,
        f"# lab.claims({'' if paper is None else f'{paper.slug!r}, '}seed={state['seed']}, counter=True) measures "
        f"all {own.height} again",
    ])  # fmt: skip


state = page.open()
busy = working()
table = with_ours(ledger().frame(state["seed"]))
paper = CATALOGUE.get(state["paper"])
own = table if paper is None else table.filter(pl.col("slug") == paper.slug)
drawn = drawable(paper) if paper else {}
shown = None
with page.controls():
    page.control("paper")
    for name in ("verdict", "kind", "search") if paper is None else ("view",):
        page.control(name)
    if drawn and state["view"] == "claims":
        shown = st.selectbox("Picture of", list(drawn), key=page.key("drawn"))
    page.control("seed")
    st.button(f"Measure all {own.height} again", on_click=begin, args=(own["id"].to_list(),), disabled=busy,
              icon=":material/playlist_play:")  # fmt: skip
if busy:
    watch(st.session_state[page.key("job")].done)
page.say(reading(own))
if ledger().note:
    st.warning(plain(ledger().note))
if paper is None:
    all_papers(table)
else:
    one_paper(paper, own)
page.finish(lines(), own.drop("ours"), "this page, claim by claim")
