"""The one registry of rules: a decorated function becomes a record that every page, notebook and test reads.

A rule's signature is its contract. Positional parameters are what the kind of rule always receives; every keyword-only
parameter is either a *field* of the rollouts (`mask`, `greedy_rewards`, ...) or an *option* with a default. `**kwargs`
is refused, so a misspelt option is an error and never silently ignored.
"""

from __future__ import annotations

import inspect
import numbers
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from lab.errors import InputError, UnknownNameError
from simulators import records
from simulators.records import Field

__all__ = [
    "FIELDS",
    "KINDS",
    "PROPERTIES",
    "STAND_INS",
    "Field",
    "Kind",
    "Rule",
    "Shape",
    "find",
    "fold",
    "inspected",
    "preset",
    "register",
    "rules",
]

#: What a rule may read beside its positional inputs: the fields of rollouts, and what the loop adds to them.
FIELDS: Mapping[str, Field] = ChainMap(
    {
        "clip_scale": Field("SPGT", "factor on the clip range of each token, from the advantage rule", everywhere=True),
        "scores": Field("SPGT", "the world's scores that an objective weighs, by name", everywhere=True),
    },
    records.FIELDS,
)


@dataclass(frozen=True)
class Kind:
    """A kind of rule.

    Attributes:
        takes: Names of its positional parameters.
        home: Folder of `lab/` whose modules hold the rules of this kind.
        alone: Whether a rule by itself is a variant.
        default: Rule of a variant that names none; None: it has none.
        remembers: Whether a rule may keep a memory from step to step.
    """

    takes: tuple[str, ...]
    home: str
    alone: bool = False
    default: str | None = None
    remembers: bool = False


#: The kinds of rules by name.
KINDS: Mapping[str, Kind] = {
    "advantage": Kind(("rewards",), "advantages", alone=True, default="grpo"),
    "objective": Kind(("logp_new", "advantage"), "objectives", alone=True, default="ppo_clip"),
    "filter": Kind(("rewards",), "sampling"),
    "reward": Kind(("rewards",), "rewards", remembers=True),
    "combine": Kind(("gradients",), "combining", remembers=True),
}

#: What a rule may declare, with the sentence that the badges show. See `lab.advantages.check`.
PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "shift": "unchanged when one number is added to every reward of the batch",
        "scale": "unchanged when every reward is multiplied by one positive number",
        "permutation": "permuting the rollouts of a group permutes their advantages",
        "zero_sum": "the advantages of a group sum to zero",
        "bounded": "no reward can push an advantage past a fixed bound",
        "silent": "a group whose rewards are all equal gets zero",
        "groupwise": "a group's advantages depend on that group alone",
    }
)


class Shape(NamedTuple):
    """Sizes that a bound may depend on: prompts, rollouts per prompt, reward components, tokens per rollout."""

    prompts: int
    group_size: int
    components: int = 1
    tokens: int = 1


@dataclass(frozen=True)
class Rule:
    """A registered rule.

    Attributes:
        name: What users write; `base@framework` is a preset of `base` with a framework's defaults.
        kind: One of `KINDS`.
        function: The function as its author wrote it.
        paper: Slug of the paper's page in the catalogue ("" for a user's own rule).
        equation: The rule in Unicode, as on the paper's page.
        fields: Fields of the rollouts that the function reads; `required` are those without a default.
        options: Names and defaults of everything else that the function accepts.
        properties: The declared members of `PROPERTIES`.
        bound: Largest possible |advantage| for a `Shape` of rewards, where `bounded` is declared.
        worked: Template (or function) that fills the equation with one rollout's numbers.
        components: The function takes rewards [..., P, G, K]; otherwise components are weighted and summed first.
        coupled: An objective in which a rollout's weight depends on the others of its group, so that none may be cut.
        memory: Number of runs S -> what the rule remembers at first, arrays [S, ...] by name, where it keeps a memory:
            it is given `memory` and returns (result, new memory), and changes nothing in place.
        extras: What only some kinds carry (an objective's loss and clip test).
    """

    name: str
    kind: str
    function: Callable[..., Any]
    paper: str = ""
    equation: str = ""
    fields: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    properties: frozenset[str] = frozenset()
    bound: Callable[[Shape], float] | None = None
    worked: str | Callable[..., str] | None = None
    components: bool = False
    note: str = ""
    memory: Callable[[int], Mapping[str, Any]] | None = None
    coupled: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse the first of `options` that this rule neither reads nor accepts, or that is of another kind.

        Raises:
            UnknownNameError: No such option or field. InputError: a text for a number, NaN, and so on.
        """
        for name, value in options.items():
            if name not in self.options and name not in self.fields:
                known = [*self.options, *self.fields]
                raise UnknownNameError(f"option of {self.kind} rule {self.name!r},", name, known, self._accepts())
            if name in self.options:
                self._check_kind(name, value)

    def _check_kind(self, name: str, value: Any) -> None:
        known = inspect.signature(self.function).parameters
        default = known[name].default if name in known else None
        for kind, test, wanted in _OPTION_KINDS:
            if isinstance(default, kind):
                if not test(value):
                    where = f"option of {self.kind} rule {self.name!r}"
                    raise InputError(f"{where}: {name}={value!r}; it must be {wanted}, such as {default!r}")
                return

    def _accepts(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.options.items()) or "no options"
        return f"{self.name} accepts {shown}"


def _number(value: Any, kind: type = numbers.Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and value == value


#: Kind of an option's default -> what its value must be. A default of None takes everything.
_OPTION_KINDS: tuple[tuple[type, Callable[[Any], bool], str], ...] = (
    (bool, lambda value: isinstance(value, bool), "True or False"),
    (str, lambda value: isinstance(value, str), "a text"),
    (int, lambda value: _number(value, numbers.Integral), "a whole number"),
    (float, _number, "a number"),
)

_RULES: dict[str, dict[str, Rule]] = {kind: {} for kind in KINDS}


def fold(name: str) -> str:
    """Names are compared without case and with `_` equal to `-`."""
    return str(name).strip().lower().replace("_", "-")


def inspected(kind: str, function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Any]]:
    """What a function reads as a rule of a kind: its fields, those without a default, its options with theirs."""
    fields, required, options = [], [], {}
    where = f"{kind} rule {getattr(function, '__name__', function)!r}"
    parameters = list(inspect.signature(function).parameters.values())
    expected = KINDS[kind].takes
    if tuple(p.name for p in parameters[: len(expected)]) != expected:
        raise InputError(f"{where}: its first parameters must be {', '.join(expected)}")
    for p in parameters[len(expected) :]:
        if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            raise InputError(f"{where}: *{p.name} hides what it reads; name each field and option")
        if p.name == "memory" and KINDS[kind].remembers:
            continue  # what it remembers from step to step, see `Rule.memory`
        if p.name in FIELDS:
            fields.append(p.name)
            if p.default is p.empty:
                required.append(p.name)
        elif p.default is p.empty:
            raise InputError(f"{where}: {p.name!r} is no field of the rollouts, so it needs a default to be an option")
        else:
            options[p.name] = p.default
    return tuple(fields), tuple(required), options


def _remembers(kind: str, function: Callable[..., Any]) -> bool:
    return KINDS[kind].remembers and "memory" in inspect.signature(function).parameters


def _add(rule: Rule) -> Rule:
    known = _RULES[rule.kind].get(fold(rule.name))
    if known is not None and not _same_origin(known, rule):
        raise InputError(
            f"{rule.kind} rule {rule.name!r} exists already (in {known.function.__module__}); choose another name"
        )
    _RULES[rule.kind][fold(rule.name)] = rule
    return rule


def _same_origin(old: Rule, new: Rule) -> bool:
    """A notebook cell that is run again replaces its own rule; nobody else's."""
    a, b = old.function, new.function
    return (a.__module__, a.__qualname__) == (b.__module__, b.__qualname__)


def register(kind: str, name: str | None = None, **facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator that records a function as a rule of `kind` and returns it unchanged.

    Args:
        kind: One of `KINDS`.
        name: Registered name; the function's own name by default.
        **facts: `paper`, `equation`, `properties`, `bound`, `worked`, `components`, `note`, `coupled`; the rest goes to
            `extras`.

    Raises:
        InputError: The name is taken, a property is unknown, or the signature hides what it reads.
    """
    extras = {k: facts.pop(k) for k in list(facts) if k not in Rule.__dataclass_fields__}
    properties = frozenset(facts.pop("properties", ()))
    unknown = properties - set(PROPERTIES)
    if unknown:
        raise UnknownNameError("property", sorted(unknown)[0], PROPERTIES)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        fields, required, options = inspected(kind, function)
        if (facts.get("memory") is not None) != _remembers(kind, function):
            raise InputError(
                f"{kind} rule {function.__name__!r}: a rule that keeps a memory is registered with memory= and has a "
                f"parameter of that name; kinds that may: {', '.join(k for k in KINDS if KINDS[k].remembers)}"
            )
        _add(
            Rule(
                name or function.__name__,
                kind,
                function,
                fields=fields,
                required=required,
                options=MappingProxyType(options),
                properties=properties,
                extras=MappingProxyType(extras),
                **facts,
            )
        )
        return function

    return decorate


def preset(
    kind: str,
    name: str,
    base: str,
    note: str = "",
    properties: Iterable[str] | None = None,
    bound: Callable[[Shape], float] | None = None,
    equation: str | None = None,
    **options: Any,
) -> None:
    """Register `name` as the rule `base` with other defaults (a framework's, say), `note` saying whose they are.

    Properties, bound and equation are those of `base` unless given.
    """
    rule = find(kind, base)
    rule.check_options(options)
    declared = rule.properties if properties is None else frozenset(properties)
    merged = MappingProxyType({**rule.options, **options})
    limit = (bound or rule.bound) if "bounded" in declared else None
    facts: dict[str, Any] = {
        "options": merged,
        "properties": declared,
        "bound": limit,
        "equation": equation or rule.equation,
    }
    _add(replace(rule, name=name, note=note, **facts))


def rules(kind: str) -> dict[str, Rule]:
    """All registered rules of a kind by name, in order of registration."""
    return {rule.name: rule for rule in _RULES[kind].values()}


#: (kind, folded name) -> what stands in for it at present, in this context alone; see `lab.stand_ins`.
STAND_INS: ContextVar[Mapping[tuple[str, str], Any]] = ContextVar("stand-ins", default=MappingProxyType({}))


def find(kind: str, name: str) -> Rule:
    """The rule of that kind and name, or what stands in for it inside `lab.stand_ins.replaced`.

    Raises:
        UnknownNameError: Nothing has that name; the nearest names are offered.
    """
    rule: Rule | None = STAND_INS.get().get((kind, fold(name))) or _RULES[kind].get(fold(name))
    if rule is None:
        hint = "see `lab.variants()`, or `advlab variants` on the shell" if KINDS[kind].alone else ""
        raise UnknownNameError(f"{kind} rule", name, rules(kind), hint)
    return rule
