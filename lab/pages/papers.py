"""Papers: the catalogue, its claims measured at a click, its rules as they are written."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import polars as pl
import streamlit as st

from lab import papers, registry
from lab.explorers.contract import PAPERS, Topic
from lab.explorers.properties import Choice, Text, seed
from lab.figures.claim_detail import claim_detail
from lab.figures.claim_map import claim_map
from lab.pages.background import Job
from lab.pages.shell import Page
from lab.papers.ledger import OPEN, Ledger
from lab.papers.record import UNMEASURABLE, Claim, Paper, Unmeasured
from lab.text import plain

AT_ONCE = 1.0  # seconds that the page waits for measurements before it shows a progress bar
COLORS: dict[str, Literal["green", "red", "gray", "orange"]] = {
    "holds": "green", "fails": "red", papers.BLIND: "red", papers.SHOWN: "green", papers.NOT_SHOWN: "orange",
    papers.REVERSED: "red", OPEN: "gray", UNMEASURABLE: "orange",
}  # fmt: skip
COLUMNS = ["paper", "id", "sentence", "ours", "criterion", "published", "verdict", "seconds"]
ALL = "all"
FIRST = ("baselines", "bnpo", "gdpo", "mc-grpo", "ngrpo")  # papers whose checks are measured on the first view of all
VIEWS = {"claims": "claims", "rules": "rules", "figures": "published figures"}
CATALOGUE = {each.slug: each for each in papers.catalogue()}

page = Page(Topic(
    name="papers",
    label="Papers",
    room=PAPERS,
    title="Which claims hold at small scale?",
    properties=[
        Choice(name="paper", label="Paper", options=[ALL, *CATALOGUE],
               names={ALL: "all papers"} | {slug: each.short for slug, each in CATALOGUE.items()}, default=ALL),
        Choice(name="view", label="Show", options=list(VIEWS), names=VIEWS, default="claims"),
        Choice(name="verdict", label="Verdict", options=[ALL, *COLORS], default=ALL),
        Choice(name="kind", label="Kind", options=[ALL, "headline", "claim", "limit"], default=ALL),
        Text(name="search", label="Containing"),
        Text(name="rule", label="Rule"),
        seed(),
    ],
    questions={
        "What holds, of everything?": {},
        "What fails?": {"verdict": "fails"},
        "What does dividing by the deviation do?": {"paper": "baselines"},
        "Does a median resist outliers?": {"paper": "mc-grpo"},
        "Is there something to learn from eight failures?": {"paper": "ngrpo"},
        "Do several rewards drown one another?": {"paper": "gdpo"},
    },
))  # fmt: skip


@st.cache_resource(show_spinner=False)
def ledger() -> Ledger:
    """What was measured on this computer, by this dashboard or by `advlab claims`."""
    return Ledger("runs")


def begin(identifiers: Sequence[str]) -> None:
    """Measures claims beside the page."""
    wanted = partial(ledger().measure, list(identifiers), page.state["seed"])
    st.session_state[page.key("job")] = Job(wanted)


def working() -> bool:
    """Whether claims are being measured; on the first view of a paper and a seed its checks are started."""
    job: Job | None = st.session_state.get(page.key("job"))
    if job is None or job.wait(0):
        here = FIRST if state["paper"] == ALL else [state["paper"]]
        quick = [c.id for c in papers.select(*here) if ".check-" in c.id and not ledger().result(c.id, state["seed"])]
        tried = (page.key("checked"), state["paper"], state["seed"])
        if quick and not st.session_state.get(str(tried)):
            st.session_state[str(tried)] = True
            begin(quick)
            job = st.session_state[page.key("job")]
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
    """The sentence: how many claims there are, how many were measured, how many hold, which headlines are shown."""
    count = {name: table.filter(pl.col("verdict") == name).height for name in COLORS}
    sentence = (
        f"{table.height} claims of {table['slug'].n_unique()} paper{'s' * (table['slug'].n_unique() > 1)}. "
        f"Of those measured here **{count['holds']} hold**"
    )
    failed = table.filter(pl.col("verdict").is_in(["fails", papers.BLIND]))["id"].to_list()
    sentence += f" and **{len(failed)} fail** ({', '.join(failed)})" if failed else " and none fails"
    promised = [f"{count[name]} {name}" for name in (papers.SHOWN, papers.NOT_SHOWN, papers.REVERSED) if count[name]]
    sentence += f"; of what abstracts promise: {', '.join(promised)}" if promised else ""
    lacking = f"; {count[UNMEASURABLE]} cannot be, for want of a package" if count[UNMEASURABLE] else ""
    return sentence + lacking + (f"; {count[OPEN]} were not measured yet." if count[OPEN] else ".")


def claim_card(claim: Claim, row: dict[str, Any], busy: bool) -> None:
    """One claim: what is said, what was found, and the button that measures it."""
    with st.container(border=True, horizontal=True, key=f"claim-{claim.id}"):
        with st.container(width="stretch", gap="xxsmall"):
            st.markdown(f"**{plain(claim.id)}**  {plain(claim.sentence)}")
            st.caption(plain(f"Holds if: {claim.criterion}."))
        with st.container(width=270, gap="xxsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.badge(row["verdict"], color=COLORS[row["verdict"]])
                if row["value"] is not None:
                    st.caption(f"{row['seconds']:.2g} s")
            found = ledger().result(claim.id, state["seed"])
            if row["value"] is not None:
                st.markdown(f"**{plain(interval(row))}**")
                if row["without"] is not None:
                    st.caption(f"Without it: {row['without']:.4g}")
            elif isinstance(found, Unmeasured):
                st.caption(plain(found.reason))
            with st.container(horizontal=True, gap="small"):
                st.button("Measure", key=page.key(f"run {claim.id}"), on_click=begin, args=([claim.id],), disabled=busy,
                          icon=":material/play_arrow:")  # fmt: skip
                with st.popover("How", icon=":material/search:", key=page.key(f"how {claim.id}")):
                    details(claim)


def details(claim: Claim) -> None:
    """A claim's note, its further numbers and the function that measures it."""
    st.caption(plain(claim.note))
    found = ledger().measurement(claim.id, state["seed"])
    if found is not None and found.detail:
        st.dataframe(found.frame, hide_index=True, key=page.key(f"detail {claim.id}"))
    st.code(claim.code, language="python")


def picture(paper: Paper) -> None:
    """What one claim of the paper compared, drawn: the first with numbers, or the one that is chosen."""
    measured = {c.id: ledger().measurement(c.id, state["seed"]) for c in paper.claims}
    drawn = {name: found.frame for name, found in measured.items() if found is not None and found.detail}
    drawn = {name: frame for name, frame in drawn.items() if not frame.select(pl.selectors.float()).is_empty()}
    if not drawn:
        st.caption("Measure the claims, and what they compared is drawn here.")
        return
    chosen = st.selectbox("Claim", list(drawn), key=page.key("drawn"), width=320)
    page.show(claim_detail, drawn[chosen])


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
    st.subheader(paper.title, anchor=False)
    links = " · ".join(f"[{plain(label)}]({address})" for label, address in paper.links.items())
    st.caption(f"{plain(paper.date)} · {links}")
    st.markdown(plain(paper.problem), width=1000)
    st.code("\n".join(f"{name}:  {equation}" for name, equation in paper.equations), language=None, wrap_lines=True)
    st.caption(plain(f"In the lab: {paper.kept} Left out: {paper.left_out} Unknown: {paper.unknown or 'nothing'}"))


def with_ours(table: pl.DataFrame) -> pl.DataFrame:
    """The ledger with value and interval as one text."""
    return table.with_columns(ours=pl.struct("value", "low", "high").map_elements(interval, return_dtype=pl.String))


def chosen_rows(table: pl.DataFrame) -> pl.DataFrame:
    """The rows that the filters leave."""
    for name in ("verdict", "kind"):
        if state[name] != ALL:
            table = table.filter(pl.col(name) == state[name])
    words = pl.concat_str("paper", "id", "sentence", "criterion", "published", separator=" ").str.to_lowercase()
    return table.filter(words.str.contains(state["search"].lower(), literal=True))


def open_paper(slugs: Sequence[str]) -> None:
    """Opens the paper of the row that was clicked."""
    rows = st.session_state[page.key("table")]["selection"]["rows"]
    if rows:
        page.set(paper=slugs[rows[0]], view="claims")


def all_papers(table: pl.DataFrame) -> None:
    """The whole ledger: every claim as a mark, and as a row that opens its paper."""
    page.show(claim_map, table, row_height=18)
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls-filter"):
        for name in ("verdict", "kind", "search"):
            page.control(name)
    rows = chosen_rows(table)
    st.caption(f"{rows.height} of {table.height} claims. A click on a row opens its paper.")
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    widths = {"paper": text(width=110), "id": text(width=130), "sentence": text("claim", width=330),
              "ours": text(width=170), "criterion": text("holds if", width=200), "verdict": text(width=90),
              "published": text("published figure", width=150), "seconds": number(width=70, format="%.2g")}  # fmt: skip
    st.dataframe(
        rows.select(COLUMNS), hide_index=True, height=min(600, 40 + 35 * rows.height), column_config=widths,
        key=page.key("table"),
        on_select=partial(open_paper, rows["slug"].to_list()), selection_mode="single-row",
    )  # fmt: skip


def one_paper(paper: Paper, own: pl.DataFrame) -> None:
    """A paper's page: what it is about, then its claims, its rules or its figures."""
    about(paper)
    page.control("view")
    if state["view"] == "claims":
        for claim, row in zip(paper.claims, own.iter_rows(named=True), strict=True):
            claim_card(claim, row, busy)
        picture(paper)
    elif state["view"] == "rules":
        rules(paper)
    else:
        published(paper, own)


def lines(own: pl.DataFrame) -> str:
    """The code of the page: what it has measured, again."""
    known = own.filter(pl.col("value").is_not_null())["id"].to_list() or own["id"].to_list()[:1]
    whole = f"lab.claims({'' if paper is None else f'{paper.slug!r}, '}seed={state['seed']})"
    return "\n".join([
        "import lab",
        "",
        f"measured = {known}",
        "for result in lab.claims(*measured, seed={seed}):".format(seed=state["seed"]),
        "    print(result.id, result.verdict, result.value, result.interval)",
        f"# {whole} measures all {own.height}; for all papers together that takes minutes",
    ])  # fmt: skip


state = page.open()
busy = working()
table = with_ours(ledger().frame(state["seed"]))
paper = CATALOGUE.get(state["paper"])
own = table if paper is None else table.filter(pl.col("slug") == paper.slug)
with page.controls():
    page.control("paper")
    page.control("seed")
    st.button(f"Measure all {own.height} claims", on_click=begin, args=(own["id"].to_list(),), disabled=busy,
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
page.finish(lines(own), own.drop("ours"), "this page, claim by claim")
