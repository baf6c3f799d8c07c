"""Variants: a named choice of rules with their options. Every advantage rule and every objective is one by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lab import advantages, combining, objectives, rewards, sampling
from lab.composites import method, methods
from lab.errors import InputError, UnknownNameError
from lab.registry import KINDS, Rule, find, fold, register, rules

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Chosen",
    "Variant",
    "advantage",
    "method",
    "names",
    "objective",
    "options_of",
    "value_of",
    "variant",
    "variants",
]

_RULES = (advantages, objectives, rewards, sampling, combining)  # importing them registers their rules and methods
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LISTED = "see `lab.variants()`, or `advlab variants` on the shell"


class Chosen(NamedTuple):
    """A rule by its name, with the options that a variant sets."""

    name: str
    options: Mapping[str, Any] = _NOTHING


class _Ask(NamedTuple):
    """Something that a method asks of the training loop: its usual value, what holds of others, and in words."""

    usual: Any
    holds: Callable[[Any], bool]
    wanted: str


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and int(value) >= 0


#: What a method may ask of the training loop.
ASKS: Mapping[str, _Ask] = MappingProxyType(
    {
        "kl": _Ask(None, lambda v: v is None or v in objectives.ESTIMATORS, "an estimator of a KL penalty, or None"),
        "kl_beta": _Ask(0.0, lambda v: isinstance(v, Real) and float(v) >= 0, "a number of at least 0"),
        "refill": _Ask(0, _whole, "a whole number of at least 0"),
        "extra_rollouts": _Ask(0, _whole, "a whole number of at least 0"),
        "max_grad_norm": _Ask(
            None, lambda v: v is None or (isinstance(v, Real) and float(v) > 0), "a number above 0, or None"
        ),
        "signflip": _Ask(0.0, lambda v: isinstance(v, Real) and 0 <= float(v) <= 1, "a probability from 0 to 1"),
    }
)


@dataclass(frozen=True, init=False)
class Variant:
    """A complete method: which rules, with which options, and what it asks of the training loop.

    Every kind of rule and everything asked of the loop can be read by name: `v.objective` is the objective's name,
    `v.filter` None where there is no filter, `v.refill` 0 where nothing is sampled again.

    Args:
        name: What users write.
        paper: Slug of the paper's page.
        note: One sentence.
        **facts: Rules by kind (`lab.registry.KINDS`), each a name or (name, options): advantage ("grpo" unless given),
            objective ("ppo_clip" unless given), filter, reward, and combine, where each reward component has a gradient
            of its own. And, asked of the loop: kl, the estimator of a penalty for leaving the initial policy, and
            kl_beta, its coefficient; refill, how many times dropped prompts are sampled again to fill the batch;
            extra_rollouts, drawn beyond the group size; max_grad_norm, above which a gradient is scaled down; signflip,
            the probability with which each advantage gets the other sign.

    Attributes:
        rules: The rules by kind.
        asks: What was asked of the loop.

    Raises:
        UnknownNameError: Neither a kind of rule nor something to ask. InputError: a value out of range.
    """

    name: str
    rules: Mapping[str, Chosen]
    asks: Mapping[str, Any]
    paper: str
    note: str

    def __init__(self, name: str, *, paper: str = "baselines", note: str = "", **facts: Any) -> None:
        for fact, value in facts.items():
            if fact not in KINDS and fact not in ASKS:
                raise UnknownNameError(f"part of variant {name!r},", fact, [*KINDS, *ASKS])
            if fact in ASKS:
                _check(fact, value)
        given = {kind: known.default for kind, known in KINDS.items()} | facts
        rules = {kind: _chosen(given[kind]) for kind in KINDS if given.get(kind) is not None}
        asks = {ask: value for ask, value in facts.items() if ask in ASKS}
        own = {
            "name": name,
            "rules": MappingProxyType(rules),
            "asks": MappingProxyType(asks),
            "paper": paper,
            "note": note,
        }
        for attribute, value in own.items():
            object.__setattr__(self, attribute, value)

    def __getattr__(self, name: str) -> Any:
        if name in KINDS:
            return self.rules[name].name if name in self.rules else None
        if name in ASKS:
            return self.asks.get(name, ASKS[name].usual)
        raise AttributeError(f"a variant has no {name!r}; it has {', '.join((*KINDS, *ASKS))}")

    @property
    def options(self) -> dict[str, Mapping[str, Any]]:
        """The options that it sets, by kind of rule."""
        return {kind: chosen.options for kind, chosen in self.rules.items()}

    def rule(self, kind: str) -> Rule | None:
        """The rule of one kind, or None where the variant has none."""
        return find(kind, self.rules[kind].name) if kind in self.rules else None

    def given(self, kind: str) -> dict[str, Any]:
        """All options of its rule of one kind: the rule's own defaults and those that it sets."""
        rule = self.rule(kind)
        return {} if rule is None else {**rule.options, **self.rules[kind].options}

    def check_options(self) -> None:
        """Refuse options that its rules do not accept; see `lab.registry.Rule.check_options`."""
        for kind, chosen in self.rules.items():
            find(kind, chosen.name).check_options(chosen.options)

    def with_options(self, label: str | None = None, **options: Any) -> Variant:
        """The same variant with other options, each given to every rule that has it; "advantage.eps" names one.

        A kind of rule by name, such as combine="min-norm", is another rule in its place.

        Raises:
            UnknownNameError: None of the variant's rules has such an option. InputError: a value of the wrong kind.
        """
        parts = {name: options.pop(name) for name in (*KINDS, *ASKS) if name in options}
        facts = {**self.rules, **self.asks, **parts}
        changed = Variant(label or self.name, paper=self.paper, note=self.note, **facts)
        for name, value in options.items():
            for kind in changed._owners(name):
                known = facts.get(kind, changed.rules[kind])
                facts[kind] = Chosen(_chosen(known).name, {**_chosen(known).options, name.rpartition(".")[2]: value})
        return Variant(changed.name, paper=self.paper, note=self.note, **facts) if options else changed

    def _owners(self, name: str) -> list[str]:
        """Kinds of the rules that have an option."""
        kind, _, option = name.rpartition(".")
        owners = [k for k in self.rules if kind in ("", k) and option in self.given(k)]
        if owners:
            return owners
        known = {k: self.given(k) for k in self.rules if self.given(k)}
        every = [*dict.fromkeys(o for of in known.values() for o in of), *ASKS]
        said = "; ".join(f"its {k} {self.rules[k].name}: {', '.join(of)}" for k, of in known.items())
        hint = f"{said}; the loop: {', '.join(ASKS)}"
        raise UnknownNameError(f"option of variant {self.name!r},", name, every, hint)


def _chosen(given: Any) -> Chosen:
    if not isinstance(given, str | tuple):
        raise InputError(f"{given!r} in the place of a rule; it must be a name, or a name with a mapping of options")
    name, options = (given, _NOTHING) if isinstance(given, str) else given
    return Chosen(name, MappingProxyType(dict(options)))


def _check(name: str, value: Any) -> None:
    if name == "kl" and isinstance(value, str) and value not in objectives.ESTIMATORS:
        raise UnknownNameError("KL estimator", value, objectives.ESTIMATORS)
    if not ASKS[name].holds(value):
        raise InputError(f"{name}={value!r}; it must be {ASKS[name].wanted}")


def options_of(text: str) -> dict[str, Any]:
    """Settings as one writes them: "grpo:eps=1e-6,ddof=0" -> {"name": "grpo", "options": {"eps": 1e-06, "ddof": 0}}.

    Raises:
        InputError: A setting without "=", or one that stands twice.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for pair in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value) or key in options:
            raise InputError(f"{text!r}: {pair!r} should be option=value, each option once, as in grpo:eps=1e-6,ddof=0")
        options[key] = value_of(value)
    return {"name": name.strip(), "options": options}


_WORDS = {"none": None, "null": None, "true": True, "false": False}


def value_of(text: str) -> Any:
    """A value as one writes it: true, none, 3, 1e-6, or else the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def variant(name: str | Variant, label: str | None = None, **options: Any) -> Variant:
    """The variant of that name, with other options if given.

    Args:
        name: A method, an advantage rule (with ppo_clip) or an objective (with GRPO's advantage); with options behind a
            colon, as on the shell, that is its label too: "grpo:eps=1e-6,ddof=0".
        label: Another name for it, so that two settings of one variant can stand side by side.
        **options: Options of its rules by name, each given to every rule that has it ("advantage.eps" names one), and
            what it asks of the loop: kl, kl_beta, refill, max_grad_norm. A kind of rule by name takes another
            rule: combine="min-norm".

    Raises:
        UnknownNameError: No such variant or option; the nearest names are offered.
    """
    if isinstance(name, str) and ":" in name:
        written = options_of(name)
        label, name, options = label or name.strip(), written["name"], {**written["options"], **options}
    found = name if isinstance(name, Variant) else _find(name)
    chosen = found.with_options(label, **options) if options or label else found
    chosen.check_options()
    return chosen


def _find(name: str) -> Variant:
    made = {fold(n): (n, facts) for n, facts in methods().items()}.get(fold(name))
    if made is not None:
        return Variant(made[0], **made[1])
    for kind in filter(lambda kind: KINDS[kind].alone, KINDS):
        rule = {fold(n): r for n, r in rules(kind).items()}.get(fold(name))
        if rule is not None:
            return Variant(rule.name, **{kind: rule.name}, paper=rule.paper, note=rule.note)
    raise UnknownNameError("variant", name, names(), _LISTED)


def names(presets: bool = True) -> list[str]:
    """Names of all variants, methods of several rules first; `presets=False` leaves `base@framework` out."""
    found = {fold(name): name for name in methods()}
    for kind in filter(lambda kind: KINDS[kind].alone, KINDS):
        for name in rules(kind):
            found.setdefault(fold(name), name)
    return [n for n in found.values() if presets or "@" not in n]


def variants(presets: bool = True) -> pl.DataFrame:
    """All variants as a table: name, advantage, objective, filter, combine, reads, properties, paper, note."""
    import polars as pl

    rows = []
    for name in names(presets):
        v = _find(name)
        rule = find("advantage", v.advantage)
        weighs = find("objective", v.objective)
        reads = {*rule.fields, *weighs.fields, *weighs.extras.get("scores", ())}
        reads -= {"logp", "mask", "clip_scale", "scores"}
        rows.append(
            {
                "name": v.name, "advantage": v.advantage, "objective": v.objective, "filter": v.filter or "",
                "combine": v.combine or "", "reads": ", ".join(sorted(reads)),
                "properties": ", ".join(sorted(rule.properties)), "equation": rule.equation,
                "paper": v.paper, "note": v.note,
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

    With `scores`, names of scores that a world offers beside log π (see `simulators.World.scores_of`), the rule reads
    them by name as its field `scores` and returns the weights of each by name, on whose gradients they act. `coupled`
    says that a rollout's weight depends on the others of its group (`lab.objectives.couples` tries it): such groups are
    never cut.
    """
    if loss is not None and not callable(loss):
        raise InputError("objective: loss must be a function (logp_new, advantage, options) -> number per run")
    facts: dict[str, Any] = ({} if loss is None else {"loss": loss}) | ({"scores": tuple(scores)} if scores else {})
    return register("objective", name, paper=paper, equation=equation, coupled=coupled, **facts)
