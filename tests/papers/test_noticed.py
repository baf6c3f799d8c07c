"""Every rule of a paper is taken away once: a claim of the paper must notice.

A rule and its presets are one function with several defaults and go together. What stands in is the baseline that a
claim of the paper names (`without`), else the plain rule of the kind. Rules that need no claim follow from registry:
textbook rules belong to no paper, and what a paper's own claims put in the place of its method is its baseline.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

import lab
from lab import distances, papers, reward_models
from lab.distances.correlation import NAMED
from lab.registry import rules
from lab.stand_ins import replaced

Other = str | Mapping[str, Any] | Callable[..., Any]


def as_they_are(rewards: np.ndarray) -> np.ndarray:
    """Rewards that are added with weight one."""
    return rewards


#: What stands in for a rule of each kind where no claim names anything else.
PLAIN: dict[str, Other] = {
    "advantage": "grpo", "objective": "ppo_clip", "reward": as_they_are, "distance": "pearson",
    "canonicalisation": "none", "combine": "sum", "reward_model": "bradley-terry",
}  # fmt: skip

#: Those whose first claim is an identity, which takes no time.
QUICK = {
    "advantage:ngrpo", "advantage:psr", "advantage:mrn", "reward:harmonic-rpo", "objective:simpo",
    "distance:npec", "distance:erc", "canonicalisation:greedy",
}  # fmt: skip


class Taken(NamedTuple):
    """A rule with its presets."""

    kind: str
    names: tuple[str, ...]
    paper: str

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(f"{self.kind}:{name}" for name in self.names)

    @property
    def claims(self) -> list[papers.Claim]:
        """Those about it first; of these and of the others numbered ones, then checks, then limits."""
        own = [c for c in papers.paper(self.paper).claims if c.kind != "headline"]
        return sorted(own, key=lambda c: not set(self.keys) & set(c.about))

    @property
    def others(self) -> dict[str, Other]:
        """What stands in for the rule and its presets."""
        named = [c.without for c in self.claims if isinstance(c.without, Mapping)]
        own = {key: other for without in reversed(named) for key, other in without.items() if key in self.keys}
        first = next(iter(own.values()), PLAIN[self.kind])
        return {key: own.get(key, first) for key in self.keys}


def _named_models() -> list[str]:
    """Reward models that a claim of their paper reaches by name; others are taken away in their claims themselves."""
    held = ((name, papers.paper(reward_models.find(name).paper).claims) for name in reward_models.names())
    return [name for name, claims in held if any(f"reward_model:{name}" in c.about for c in claims)]


@cache
def registered() -> list[Taken]:
    """All rules and distances of papers, with their presets."""
    lab.variants()
    found = []
    for kind in ("advantage", "objective", "reward"):
        alike: dict[Any, list[Any]] = {}
        for rule in rules(kind).values():
            alike.setdefault(rule.function, []).append(rule)
        found += [Taken(kind, tuple(r.name for r in some), some[0].paper) for some in alike.values()]
    found += [Taken("combine", (rule.name,), rule.paper) for rule in rules("combine").values()]
    found += [Taken("reward_model", (name,), reward_models.find(name).paper) for name in _named_models()]
    found += [Taken("distance", (name,), d.paper) for name, d in NAMED.items()]
    return found + [Taken("canonicalisation", (name,), c.paper) for name, c in distances.CANONS.items()]


def is_baseline(taken: Taken) -> bool:
    """Whether the paper's claims put it in the place of another rule, and are about others; or it is the plain one."""
    named, about = {f"{kind}:{other}" for kind, other in PLAIN.items()}, set()
    for c in papers.paper(taken.paper).claims:
        about |= set(c.about)
        if isinstance(c.without, Mapping):
            named |= {f"{key.partition(':')[0]}:{o}" for key, o in c.without.items() if isinstance(o, str)}
    return bool(set(taken.keys) & named) and not set(taken.keys) & about


def needs_no_claim(taken: Taken) -> bool:
    return taken.paper in ("", "baselines") or is_baseline(taken)


TAKEN = [t for t in registered() if not needs_no_claim(t)]
OWN = {kind: set(rules(kind)) for kind in ("advantage", "objective", "reward")}  # before another test adds its own


def test_rules_of_papers_and_their_distances_are_taken_away_once_each() -> None:
    keys = [key for taken in registered() for key in taken.keys]
    assert len(keys) == len(set(keys))
    for kind, own in OWN.items():
        assert own <= {key.partition(":")[2] for key in keys if key.startswith(kind)}
    listed = {taken.keys[0] for taken in TAKEN}
    assert {"advantage:ngrpo", "objective:dno", "reward:toolrl", "distance:epic", "canonicalisation:val"} <= listed
    assert not listed & {"advantage:grpo", "objective:ppo_clip", "objective:dpo", "distance:pearson"}
    assert listed >= QUICK


@pytest.mark.parametrize(
    "taken", [pytest.param(t, id=t.keys[0], marks=[] if t.keys[0] in QUICK else [pytest.mark.slow]) for t in TAKEN]
)
def test_a_claim_of_its_paper_notices(taken: Taken) -> None:
    blind = []
    for c in taken.claims:
        with replaced(taken.others):
            if not c.measure(0).holds:
                return
        blind.append(c.id)
    pytest.fail(f"{', '.join(taken.keys)}: {', '.join(blind)} hold without")
