"""POLAR: whether two trajectories come from the same policy, learned from policies alone, is a reward.

A network reads a reference and a candidate. It is trained on a pool of policies and no preference; what it then
rewards is to be like the reference. Ranked trajectories refine it: the best of three is the reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab.errors import InputError, check_whole
from lab.reward_models.stacked import Layer, descend, draws_of, linear, through
from simulators.bigrams.tables import Policies, width

__all__ = ["Discriminator", "Network", "finetuned", "pair_loss", "polar", "rewards"]

Array = NDArray[np.float64]
_SAMPLES, _CHUNK = 61_000, 50


class Network(NamedTuple):
    """Stacked layers of S models: what is made of each trajectory, and what of two of them."""

    encoder: tuple[Layer, ...]
    head: tuple[Layer, ...]


def _mlp(layers: Sequence[Layer], x: Tensor) -> Tensor:
    *inner, last = layers
    for layer in inner:
        x = F.relu(through(layer, x))
    return through(last, x)


def rewards(net: Network, reference: Tensor, candidate: Tensor) -> Tensor:
    """r(reference, candidate) [S, M] of features [S, M, D] each: MLP([e_r e_c, (e_r − e_c)², e_c]), not symmetric."""
    ref, cand = (_mlp(net.encoder, x) for x in (reference, candidate))
    return _mlp(net.head, torch.cat([ref * cand, (ref - cand) ** 2, cand], -1))[..., 0]


def pair_loss(net: Network, reference: Tensor, better: Tensor, worse: Tensor) -> Tensor:
    """−log σ(r(ref, better) − r(ref, worse)) [S, M] of features [S, M, D]."""
    both = rewards(net, torch.cat([reference, reference], 1), torch.cat([better, worse], 1))
    first, second = both.chunk(2, 1)
    return F.softplus(second - first)


@dataclass(frozen=True, eq=False)
class Discriminator:
    """S models side by side.

    Attributes:
        network: Stacked layers.
    """

    network: Network

    def __call__(self, responses: ArrayLike, context: Mapping[str, ArrayLike]) -> Array:
        """Rewards [S, ..., G] of responses [S, ..., G, D], beside "reference_response" [S, ..., D], the group's.

        Raises:
            InputError: Shapes that do not fit, an empty reference, or a feature that is not finite.
        """
        x, ref = (
            _checked(n, v) for n, v in (("responses", responses), ("reference_response", context["reference_response"]))
        )
        if ref.shape != (*x.shape[:-2], x.shape[-1]):
            raise InputError(
                f"reference_response {ref.shape} must be [..., P, D] beside responses {x.shape}, [..., P, G, D]"
            )
        if not (ref != 0).any(-1).all():
            raise InputError("polar: an empty reference; all of its frequencies are 0")
        beside = np.broadcast_to(ref[..., None, :], x.shape)
        both = [torch.tensor(a.reshape(len(x), -1, x.shape[-1])) for a in (beside, x)]
        with torch.no_grad():
            return rewards(self.network, *both).double().numpy().reshape(x.shape[:-1])


def _checked(name: str, x: ArrayLike) -> NDArray[np.float32]:
    found = np.asarray(x, np.float32)
    if not np.isfinite(found).all():
        raise InputError(f"{name} must be finite")
    return found


def polar(
    policies: Policies, seeds: Sequence[int], *, hidden: int = 64, batch: int = 64, steps: int = 400,
    lr: float = 4e-3,
) -> Discriminator:  # fmt: skip
    """Pre-training: of two candidates the one from the policy that the reference came from.

    loss = mean −log σ(r(A₁, A₂) − r(A₁, B₁)): A and B two policies of the pool, trajectories new at every step.

    Args:
        policies: S pools, or one for all.
        seeds: Of the networks and of what is drawn [S].
        hidden: Width of all layers.
        batch: Pairs of policies per step.
        steps: Of AdamW; 0: a network that knows nothing.
        lr: Its learning rate.

    Raises:
        InputError: A pool of one policy, or pools that do not fit the seeds; a number that is none.

    Source: arXiv 2507.05197, section 3; network and sizes of the card.
    """
    count = len(seeds)
    if len(policies) < 2:
        raise InputError(f"polar: {len(policies)} policy; two trajectories of it have nothing to be told apart from")
    if len(policies.logits) not in (1, count) or not count:
        raise InputError(f"polar: {len(policies.logits)} pools for {count} seeds; one each is needed, or one in all")
    seeds = [*seeds, *seeds] if count == 1 else seeds  # one network alone is added up in another order
    pools = Policies(np.broadcast_to(policies.logits, (len(seeds), *policies.logits.shape[1:])), policies.length)
    draws, size = draws_of(seeds), check_whole("hidden", hidden, 1)
    net = _network(draws, width(policies.logits.shape[-1]), size)
    rng = [np.random.default_rng([_SAMPLES, int(s)]) for s in seeds]
    drawn: list[Tensor] = []

    def loss(step: int) -> Tensor:
        if step % _CHUNK == 0:
            drawn[:] = _triples(pools, batch * min(_CHUNK, steps - step), rng)
        at = slice((step % _CHUNK) * batch, (step % _CHUNK + 1) * batch)
        return pair_loss(net, *(x[:, at] for x in drawn)).mean(1)

    check_whole("batch", batch, 1)
    descend(_parts(net), loss, check_whole("steps", steps, 0), lr)
    return Discriminator(Network(*(tuple((w[:count], b[:count]) for w, b in part) for part in net)))


def _triples(pools: Policies, number: int, rng: Sequence[np.random.Generator]) -> list[Tensor]:
    """Features of A₁, A₂ and B₁ [S, number, D], of two different policies each."""
    first = np.stack([r.integers(len(pools), size=number) for r in rng])
    other = (first + np.stack([r.integers(1, len(pools), size=number) for r in rng])) % len(pools)
    return [torch.from_numpy(pools.draw(who, rng).astype(np.float32)) for who in (first, first, other)]


def finetuned(
    model: Discriminator, ranked: ArrayLike, seeds: Sequence[int], *, batch: int = 32, steps: int = 200,
    lr: float = 1e-3,
) -> Discriminator:  # fmt: skip
    """Fine-tuning on ranked trajectories, the best of which is the reference; the model given stays as it is.

    loss = mean −log σ(r(first, second) − r(first, third)).

    Args:
        model: S models.
        ranked: Features of three trajectories each, best first [S, N, 3, D].
        seeds: Of the batches [S].
        batch: Triples per step.
        steps: Of AdamW.
        lr: Its learning rate.

    Raises:
        InputError: No triple, shapes that do not fit, or a feature or a number that is none.

    Source: arXiv 2507.05197, section 3; XTuner's configuration has no penalty either.
    """
    x = _checked("ranked", ranked)
    wanted = len(seeds), model.network.encoder[0][0].shape[2]
    if x.ndim != 4 or x.shape[2] != 3 or (x.shape[0], x.shape[3]) != wanted or not x.shape[1]:
        raise InputError(f"ranked has shape {x.shape}; it must be [S={wanted[0]}, N, 3, D={wanted[1]}], N at least 1")
    net = Network(*(tuple((w.clone(), b.clone()) for w, b in part) for part in model.network))
    draws, given, which = draws_of(seeds), torch.from_numpy(x), torch.arange(len(x))[:, None]
    check_whole("batch", batch, 1)

    def loss(_: int) -> Tensor:
        own = torch.stack([torch.randint(x.shape[1], (batch,), generator=d) for d in draws])
        return pair_loss(net, *given[which, own].unbind(2)).mean(1)

    descend(_parts(net), loss, check_whole("steps", steps, 0), lr)
    return Discriminator(net)


def _network(draws: Sequence[torch.Generator], inputs: int, hidden: int) -> Network:
    def mlp(*sizes: int) -> tuple[Layer, ...]:
        return tuple(linear(draws, a, b) for a, b in itertools.pairwise(sizes))

    return Network(mlp(inputs, hidden, hidden), mlp(3 * hidden, hidden, 1))


def _parts(net: Network) -> list[Tensor]:
    layers: list[Any] = [*net.encoder, *net.head]
    return [part for layer in layers for part in layer]
