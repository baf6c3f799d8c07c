"""Variants: a named choice of rules with their defaults. Every advantage rule and every objective is one by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lab import advantages, objectives, rewards, sampling
from lab.errors import InputError, UnknownNameError
from lab.registry import KINDS, Rule, find, fold, register, rules

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Variant", "advantage", "names", "objective", "variant", "variants"]

_KINDS = (advantages, objectives, rewards, sampling)  # importing them registers their rules
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Variant:
    """A complete method: which rules, with which options, and what it asks of the loop.

    Attributes:
        name: What users write.
        advantage: Name of an advantage rule.
        objective: Name of an objective.
        filter: Name of a filter on prompts, or None.
        reward: Name of a reward rule applied first, or None.
        options: Options by rule kind: {"advantage": {...}, "objective": {...}, "filter": {...}, "reward": {...}}.
        kl: Estimator of a KL penalty to the initial policy, or None; `kl_beta` is its coefficient.
        refill: How many times dropped prompts are sampled again to fill the batch (0: the batch shrinks).
        extra_rollouts: Rollouts drawn beyond the group size (MC-GRPO's pivot).
        max_grad_norm: Gradient norm above which the gradient is scaled down, where the method needs it.
        signflip: Probability with which each advantage gets the other sign (MC-GRPO's ablation).
        paper: Slug of the paper's page.
        note: One sentence.
    """

    name: str
    advantage: str = "grpo"
    objective: str = "ppo_clip"
    filter: str | None = None
    reward: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    kl: str | None = None
    kl_beta: float = 0.0
    refill: int = 0
    extra_rollouts: int = 0
    max_grad_norm: float | None = None
    signflip: float = 0.0
    paper: str = "baselines"
    note: str = ""

    def __post_init__(self) -> None:
        _check_own({name: getattr(self, name) for name in ("kl", *_OWN_OPTIONS)})
        for kind in self.options:
            if kind not in KINDS or (self.options[kind] and getattr(self, kind) is None):
                raise UnknownNameError(f"kind of rule in the options of variant {self.name!r},", kind, KINDS)

    def check_options(self) -> None:
        """Refuse options that its rules do not accept; see `lab.registry.Rule.check_options`."""
        for kind, options in self.options.items():
            if options:
                find(kind, getattr(self, kind)).check_options(options)

    def rule(self, kind: str) -> Rule | None:
        """The rule of one kind, or None where the variant has none."""
        name = getattr(self, kind)
        return None if name is None else find(kind, name)

    def with_options(self, label: str | None = None, **options: Any) -> Variant:
        """The same variant with other options, each given to the rule that knows its name.

        Raises:
            UnknownNameError: None of the variant's rules has such an option. InputError: a value of the wrong kind.
        """
        own = {k: options.pop(k) for k in ("kl", *_OWN_OPTIONS) if k in options}
        merged = {kind: dict(self.options.get(kind, {})) for kind in KINDS}
        for name, value in options.items():
            merged[self._owner(name)][name] = value
        return replace(self, name=label or self.name, options=MappingProxyType(merged), **own)

    def _owner(self, option: str) -> str:
        known: list[str] = []
        for kind in KINDS:
            rule = self.rule(kind)
            if rule is not None and option in rule.options:
                return kind
            known += [] if rule is None else list(rule.options)
        raise UnknownNameError(f"option of variant {self.name!r},", option, known)


_OWN_OPTIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "kl_beta": (lambda v: isinstance(v, Real) and float(v) >= 0, "a number of at least 0"),
    "refill": (lambda v: isinstance(v, Integral) and int(v) >= 0, "a whole number of at least 0"),
    "extra_rollouts": (lambda v: isinstance(v, Integral) and int(v) >= 0, "a whole number of at least 0"),
    "max_grad_norm": (lambda v: v is None or (isinstance(v, Real) and float(v) > 0), "a number above 0, or None"),
    "signflip": (lambda v: isinstance(v, Real) and 0 <= float(v) <= 1, "a probability from 0 to 1"),
}


def _check_own(options: Mapping[str, Any]) -> None:
    """Refuse a KL estimator that does not exist, and numbers out of range."""
    if options.get("kl") is not None and options["kl"] not in objectives.ESTIMATORS:
        raise UnknownNameError("KL estimator", options["kl"], objectives.ESTIMATORS)
    for name, (holds, wanted) in _OWN_OPTIONS.items():
        if name in options and not holds(options[name]):
            raise InputError(f"{name}={options[name]!r}; it must be {wanted}")


_COMPOSITE = [
    Variant("dapo", objective="ppo_clip@dapo", filter="uniform", refill=3,
            note="clip-higher, token-mean, prompts without a learning signal sampled again"),
    Variant("dr_grpo", "dr_grpo", "ppo_clip@dr-grpo", note="no deviation, no length in the denominator"),
    Variant("gspo", objective="gspo", note="sequence ratio, clip 3e-4 / 4e-4"),
    Variant("cispo", objective="cispo", note="clipped ratio as a constant factor"),
    Variant("gmpo", objective="gmpo", note="geometric mean of the ratios"),
    Variant("sapo", objective="sapo", note="a soft gate in place of the clip"),
    Variant("luspo", objective="luspo", note="sequence ratio, sum over tokens"),
    Variant("vespo", objective="vespo", note="gamma-shaped weight of the rollout's ratio"),
    Variant("gpg", "gpg", "gpg", note="plain policy gradient, no ratio"),
    Variant("grpo-kl", objective="ppo_clip@grpo", kl="k3", kl_beta=0.04, note="GRPO as published: k3 with beta 0.04"),
    Variant("ngrpo", "ngrpo", "ppo_clip@ngrpo", filter="all_correct", paper="ngrpo",
            note="virtual success, clip 0.16 / 0.24, all-correct prompts dropped"),
    Variant("mc-grpo", "mc-grpo", extra_rollouts=1, max_grad_norm=1.0, paper="mc-grpo",
            note="median of G+1 rollouts, gradient norm clipped at 1"),
    Variant("mc-grpo@gsm", "mc-grpo@gsm", extra_rollouts=1, max_grad_norm=1.0, paper="mc-grpo",
            note="the released gsm form"),
    Variant("mc-grpo-control", "mc-grpo-control", extra_rollouts=1, paper="mc-grpo",
            note="mean and std of G+1 rollouts, the smallest |R| dropped"),
    Variant("refine-rft", "mrn", "gpg", options={"objective": {"aggregation": "seq-mean-token-mean"}},
            paper="refine-rft", note="each reward normalised on its own, one step without a ratio"),
    Variant("hybrid-reward", "dr_grpo", reward="hybrid-reward", paper="hybrid-reward",
            note="rule or learned score, penalty on short wrong answers, format bit; no deviation"),
    Variant("harmonic-rpo", "dr_grpo", "harmonic-rpo", reward="harmonic-rpo", paper="harmonic-rpo",
            note="harmonic reward, preference of one half of the group over the other, pull towards the first half"),
    Variant("reg-grpo", "grpo", "reg-grpo", options={"advantage": {"ddof": 0, "eps": 0.0}}, kl="k3", kl_beta=0.1,
            max_grad_norm=1.0, paper="reg-grpo", note="log-ratios regressed onto advantages, no clip"),
    Variant("gcpo", "gcpo", options={"objective": {"aggregation": "seq-mean-token-mean"}}, paper="gcpo",
            note="prompts 2i and 2i+1 are a preferred and a rejected item; win ratios against each other"),
    Variant("dno", "win-rate", "dno", paper="dno", note="log-ratios regressed on win rates over all pairs of a group"),
    Variant("dno-prct", "win-rate", "dno-prct", paper="dno",
            note="the better of two responses against the worse where their win rates are far apart"),
    Variant("balcaprl", "gdpo", reward="balcaprl", paper="balcaprl",
            note="each quality normalised on its own, the last masked where the length is far from the reference"),
    Variant("mixed-r1", reward="mixed-r1", paper="mixed-r1", note="the task's reward and half the format bit, added"),
    Variant("semantic-reward", options={"advantage": {"ddof": 0, "eps": 1e-8}}, reward="semantic-reward",
            paper="semantic-reward", note="likeness of meaning, correctness and format, added"),
    Variant("toolrl", options={"advantage": {"eps": 1e-6}}, reward="toolrl", paper="toolrl",
            note="tool calls by the share of their parts that match, and their format"),
    Variant("a2tgpo", "a2tgpo", "a2tgpo", paper="a2tgpo",
            note="gains normalised per turn, summed without drift; a ratio and a clip range for each turn"),
    Variant("clip-delta", reward="clip-delta", paper="clip-delta", note="clipped and telescoped step scores"),
    Variant("process-reward", reward="process", paper="clip-delta", note="the plain sum of the step scores"),
    Variant("process-clip", reward="process-clip", paper="clip-delta", note="step scores clipped at η"),
    Variant("process-delta", reward="process-delta", paper="clip-delta", note="step scores telescoped"),
    Variant("dr-mas", "dr-mas", "dr-mas", paper="dr-mas", note="each agent normalised and averaged over its own calls"),
    Variant("dr-mas-global", "dr-mas-global", "dr-mas", paper="dr-mas",
            note="one mean and deviation for all agents, the baseline of Dr. MAS"),
    Variant("grqo", "grqo", "grqo", kl="k3", kl_beta=0.04, paper="grqo",
            note="the advantage differentiated through the queries' rewards, the last third muted"),
    Variant("grqo@log-prob", "grqo", paper="grqo", note="the muted advantage on log-probabilities"),
    Variant("dino-r1", "grqo", "dino-r1", kl="k3", kl_beta=0.04, paper="grqo",
            note="supervision of the matched queries and GRQO on all of them"),
    Variant("matched", "grqo", "matched", paper="grqo", note="supervision of the matched queries alone"),
    Variant("matched-dense", "grqo", "matched-dense", paper="grqo",
            note="supervision, and every query drawn to its nearest object"),
    Variant("graph-grpo", "graph-grpo", "graph-grpo", paper="graph-grpo",
            note="edges by the success rate of their graphs, present edges only"),
]  # fmt: skip
_BY_NAME = {fold(v.name): v for v in _COMPOSITE}


def variant(name: str | Variant, label: str | None = None, **options: Any) -> Variant:
    """The variant of that name, with other options if given.

    Args:
        name: A composite variant, an advantage rule (with ppo_clip) or an objective (with GRPO's advantage).
        label: Another name for it, so that two settings of one variant can stand side by side.
        **options: Options of its rules by name, and kl, kl_beta, refill, max_grad_norm.

    Raises:
        UnknownNameError: No such variant or option; the nearest names are offered.
    """
    found = name if isinstance(name, Variant) else _find(name)
    chosen = found.with_options(label, **options) if options or label else found
    chosen.check_options()
    return chosen


def _find(name: str) -> Variant:
    known = _BY_NAME.get(fold(name))
    if known is not None:
        return known
    if fold(name) in {fold(n) for n in rules("advantage")}:
        rule = find("advantage", name)
        return Variant(rule.name, advantage=rule.name, paper=rule.paper, note=rule.note)
    if fold(name) in {fold(n) for n in rules("objective")}:
        rule = find("objective", name)
        return Variant(rule.name, objective=rule.name, paper=rule.paper, note=rule.note)
    raise UnknownNameError("variant", name, names(), "see `advlab variants`")


def names(presets: bool = True) -> list[str]:
    """Names of all variants; `presets=False` leaves `base@framework` out."""
    found = {fold(v.name): v.name for v in _COMPOSITE}
    for kind in ("advantage", "objective"):
        for name in rules(kind):
            found.setdefault(fold(name), name)
    return [n for n in found.values() if presets or "@" not in n]


def variants(presets: bool = True) -> pl.DataFrame:
    """All variants as a table: name, advantage, objective, filter, reads, properties, paper, note."""
    import polars as pl

    rows = []
    for name in names(presets):
        v = _find(name)
        rule = find("advantage", v.advantage)
        weighs = find("objective", v.objective)
        reads = {*rule.fields, *weighs.fields, *weighs.extras.get("scores", ())} - {"logp", "mask", "clip_scale"}
        rows.append(
            {
                "name": v.name, "advantage": v.advantage, "objective": v.objective, "filter": v.filter or "",
                "reads": ", ".join(sorted(reads)), "properties": ", ".join(sorted(rule.properties)),
                "equation": rule.equation, "paper": v.paper, "note": v.note,
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


def advantage(
    name: str | None = None,
    *,
    paper: str = "",
    equation: str = "",
    properties: Any = (),
    bound: Callable[..., float] | None = None,
    worked: str | Callable[..., str] | None = None,
    components: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a function `rule(rewards, *, fields and options)` becomes an advantage rule and a variant at once.

    Args:
        name: Its name; the function's own by default.
        paper: Slug of its paper, if it has one.
        equation: The rule in one line of Unicode.
        properties: What it declares, members of `lab.registry.PROPERTIES`; `lab.advantages.check(name)` tries them.
        bound: Largest |advantage| for a `lab.registry.Shape`, where it declares "bounded".
        worked: Template that fills the equation with numbers, such as "({r} − {mean})".
        components: The function takes [..., P, G, K]; otherwise it gets [..., P, G], components added.

    Raises:
        InputError: The name is taken by another function, or the signature hides what it reads.
    """
    return register(
        "advantage", name, paper=paper, equation=equation, properties=properties, bound=bound, worked=worked,
        components=components,
    )  # fmt: skip


def objective(
    name: str | None = None,
    *,
    paper: str = "",
    equation: str = "",
    loss: Callable[..., Any] | None = None,
    scores: tuple[str, ...] = (),
    coupled: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: `rule(logp_new, advantage, *, logp, mask, ...) -> weights` becomes an objective and a variant.

    With `scores`, names of scores that a world offers beside log π (see `simulators.Scored`), the first argument holds
    these scores, one each on the T axis, and the weights act on their gradients. `coupled` says that a rollout's weight
    depends on the others of its group (`lab.objectives.couples` tries it): such groups are never cut.
    """
    if loss is not None and not callable(loss):
        raise InputError("objective: loss must be a function (logp_new, advantage, options) -> number per run")
    facts: dict[str, Any] = ({} if loss is None else {"loss": loss}) | ({"scores": tuple(scores)} if scores else {})
    return register("objective", name, paper=paper, equation=equation, coupled=coupled, **facts)
