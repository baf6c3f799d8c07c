"""What a paper of the catalogue is: facts, published figures, and claims as functions that measure."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import InputError
from lab.stand_ins import replaced

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "BLIND", "CLAIMS", "NOT_SHOWN", "PAPERS", "REVERSED", "SHOWN", "UNMEASURABLE", "Claim", "Measurement", "Paper",
    "Result", "Table", "Unmeasured", "Without", "add_paper", "claim",
]  # fmt: skip

#: Verdict of a claim that needs a package which is not installed: it neither holds nor fails.
UNMEASURABLE = "not measurable here"

#: Verdict of a claim that holds without what it is about as well: it says nothing of it.
BLIND = "does not distinguish"

#: Verdicts of a headline: its lead is above the least that counts, not told apart from it, or below its opposite.
SHOWN, NOT_SHOWN, REVERSED = "shown", "not shown here", "reversed here"

_ID = re.compile(r"(?P<paper>[a-z0-9-]+)\.(?P<part>\d+|headline|(?:check|limit)-[a-z0-9-]+)")


@dataclass(frozen=True)
class Table:
    """Figures that a paper has published, to stand beside the lab's own.

    Attributes:
        caption: What was measured, with models and units.
        columns: Names of the columns.
        rows: One tuple per row, as long as `columns`; None where nothing is published.
        source: Where the figures were read.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    source: str

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"table {self.caption!r}: row {row} has {len(row)} of {len(self.columns)} columns")

    @property
    def frame(self) -> pl.DataFrame:
        """The table as a Polars frame."""
        import polars as pl

        return pl.DataFrame(list(self.rows), schema=list(self.columns), orient="row")


@dataclass(frozen=True)
class Paper:
    """A paper of the catalogue, or a family of textbook rules.

    Attributes:
        slug: Short name, as in addresses and on the command line.
        title: Full title.
        short: Name of the method.
        date: When it appeared.
        arxiv: arXiv identifiers by the name of what each describes.
        code: Address of the authors' code.
        problem: What it sets out to mend, in one paragraph.
        equations: (name, equation in Unicode) in the order of the method.
        kept: What of it is in the lab.
        left_out: What is not.
        published: Published figures.
        unknown: What could not be found out.
    """

    slug: str
    title: str
    short: str
    date: str
    arxiv: Mapping[str, str]
    code: str
    problem: str
    equations: tuple[tuple[str, str], ...]
    kept: str
    left_out: str
    published: tuple[Table, ...] = ()
    unknown: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Its claims: numbered ones, then checks, then limits."""
        own = [c for c in CLAIMS.values() if c.paper == self.slug]
        return tuple(sorted(own, key=lambda c: c.order))

    @property
    def variants(self) -> list[str]:
        """Names of the variants whose rules come from it, presets included."""
        import polars as pl

        from lab.methods import variants

        return variants().filter(pl.col("paper") == self.slug)["name"].to_list()

    @property
    def links(self) -> dict[str, str]:
        """Addresses by label: each arXiv page, then the code."""
        pages = {f"{name} (arXiv {number})": f"https://arxiv.org/abs/{number}" for name, number in self.arxiv.items()}
        return pages | ({"code": self.code} if self.code else {})


@dataclass(frozen=True)
class Measurement:
    """What a claim measured.

    Attributes:
        value: The headline number.
        holds: The verdict, computed from what was measured.
        interval: 95% interval of the value; None where it is exact.
        detail: Further numbers as rows of a tidy table, all with the same keys.
        border: What the interval must not cross, or how large an exact value may be; None where the criterion is no
            such number. Of a headline, the least lead that counts; None: any.
    """

    value: float
    holds: bool
    interval: tuple[float, float] | None = None
    detail: Sequence[Mapping[str, Any]] = ()
    border: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.value, *(self.interval or ()))
        if not all(math.isfinite(x) for x in numbers):
            raise InputError(f"a measurement must be finite, got {numbers}")

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval, [value, value] where the value is exact."""
        low, high = self.interval or (self.value, self.value)
        return float(low), float(high)

    @property
    def frame(self) -> pl.DataFrame:
        """The further numbers as a Polars frame."""
        import polars as pl

        return pl.DataFrame(list(self.detail))


#: How a claim looks without what it is about: rules replaced (see `lab.stand_ins.replaced`) while it is measured again,
#: or a function of the seed that measures its twin.
Without = Mapping[str, str | Mapping[str, Any] | Callable[..., Any]] | Callable[[int], Measurement]


@dataclass(frozen=True)
class Claim:
    """A statement that can be measured.

    Attributes:
        id: `<slug>.<n>`, `<slug>.check-<name>` for an identity, `<slug>.limit-<name>` for what does not hold at small
            scale, or `<slug>.headline` for what the abstract promises, on a fair track.
        sentence: The statement.
        criterion: When it holds. A limit holds while the measurement still shows it.
        measure: Takes a seed, returns a `Measurement`.
        note: Conventions, spread over seeds, and where the measurement differs from what was reported.
        published: The paper's own figure for it, "" where the paper has none.
        without: Its counter-experiment, in which it must not hold: the mechanism taken away from a claim, an identity
            perturbed, a setting in which a limit would have been crossed. None: it has none yet.
    """

    id: str
    sentence: str
    criterion: str
    measure: Callable[[int], Measurement]
    note: str = ""
    published: str = ""
    without: Without | None = None

    @property
    def paper(self) -> str:
        """Slug of its paper."""
        return self.id.partition(".")[0]

    @property
    def kind(self) -> str:
        """Either "headline", "claim" or "limit"."""
        part = self.id.partition(".")[2]
        return "headline" if part == "headline" else "limit" if part.startswith("limit-") else "claim"

    @property
    def about(self) -> tuple[str, ...]:
        """Rules that its counter-experiment replaces, as "kind:name"."""
        return tuple(self.without) if isinstance(self.without, Mapping) else ()

    def measure_without(self, seed: int) -> Measurement | None:
        """Its counter-experiment; None where it has none."""
        if not isinstance(self.without, Mapping):
            return None if self.without is None else self.without(seed)
        with replaced(self.without):
            return self.measure(seed)

    def verdict(self, found: Measurement, without: Measurement | None = None) -> str:
        """What a measurement says, beside the counter-experiment where that was made."""
        if self.kind == "headline":
            (low, high), least = found.bounds, found.border or 0.0
            return SHOWN if low > least else REVERSED if high < -least else NOT_SHOWN
        return "fails" if not found.holds else BLIND if without is not None and without.holds else "holds"

    @property
    def order(self) -> tuple[int, int]:
        """Place among those of its paper: the headline, numbered claims by number, then checks, then limits."""
        part = self.id.partition(".")[2]
        if part == "headline" or part.isdigit():
            return 0, int(part) if part.isdigit() else -1
        return (1 if part.startswith("check-") else 2), list(CLAIMS).index(self.id)

    @property
    def code(self) -> str:
        """The function that measures, as it is written."""
        return inspect.getsource(self.measure)


@dataclass(frozen=True)
class Result:
    """A claim's verdict; `asdict` is what `advlab claims --json` prints.

    Attributes:
        id: Identifier of the claim.
        paper: Slug of its paper.
        kind: "headline", "claim" or "limit".
        sentence: The statement.
        value: The headline number; None where nothing was measured.
        interval: Its 95% interval; [value, value] where it is exact.
        criterion: When it holds.
        verdict: "holds", "fails", `BLIND` or `UNMEASURABLE`; of a headline `SHOWN`, `NOT_SHOWN` or `REVERSED`.
        seconds: Wall-clock time of the measurement.
        without: The headline number of the counter-experiment; None where none was made.
    """

    id: str
    paper: str
    kind: str
    sentence: str
    value: float | None
    interval: tuple[float, float] | None
    criterion: str
    verdict: str
    seconds: float
    without: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the verdict is "holds"."""
        return self.verdict == "holds"

    def asdict(self) -> dict[str, Any]:
        """The fields by name, fit for JSON."""
        return {**asdict(self), "interval": None if self.interval is None else list(self.interval)}


@dataclass(frozen=True)
class Unmeasured(Result):
    """A claim that could not be measured here, and so neither holds nor fails.

    Attributes:
        reason: What is missing, and how to get it.
    """

    reason: str = ""


#: Papers by slug and claims by id, filled by importing the files of this folder.
PAPERS: dict[str, Paper] = {}
CLAIMS: dict[str, Claim] = {}


def add_paper(paper: Paper) -> Paper:
    """Add a paper to the catalogue and return it.

    Raises:
        InputError: Another paper has that slug.
    """
    if PAPERS.setdefault(paper.slug, paper) != paper:
        raise InputError(f"paper {paper.slug!r} is in the catalogue already")
    return paper


def claim(
    identifier: str,
    *,
    sentence: str,
    criterion: str,
    note: str = "",
    published: str = "",
    without: Without | None = None,
) -> Callable[[Callable[[int], Measurement]], Callable[[int], Measurement]]:
    """Decorator: a function `measure(seed) -> Measurement` becomes a claim and is returned unchanged.

    Args:
        identifier: See `Claim.id`.
        sentence: The statement.
        criterion: When it holds.
        note: See `Claim.note`.
        published: See `Claim.published`.
        without: See `Claim.without`.

    Raises:
        InputError: The identifier is malformed or taken, or the function takes anything but a seed.
    """
    if not _ID.fullmatch(identifier):
        raise InputError(f"claim {identifier!r}: write <slug>.<number>, .headline, .check-<name> or .limit-<name>")

    def decorate(measure: Callable[[int], Measurement]) -> Callable[[int], Measurement]:
        if list(inspect.signature(measure).parameters) != ["seed"]:
            raise InputError(f"claim {identifier!r}: its function must take `seed` and nothing else")
        known = CLAIMS.get(identifier)
        if known is not None and known.measure.__qualname__ != measure.__qualname__:
            raise InputError(f"claim {identifier!r} exists already; choose another identifier")
        CLAIMS[identifier] = Claim(identifier, sentence, criterion, measure, note, published, without)
        return measure

    return decorate
