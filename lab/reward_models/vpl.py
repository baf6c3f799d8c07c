"""VPL: what kind of user it is, is inferred from a few comparisons; the reward is read given that.

An encoder reads a user's pairs and gives a Gaussian over a latent z, a decoder scores responses beside z.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models.stacked import Layer, descend, draws_of, linear, normals, through
from simulators.learned_reward.users import Users

__all__ = [
    "ANNEALERS", "Network", "Personal", "annealed", "categorical_loss", "decoded", "encoded", "latent_loss",
    "mean_variance_loss", "on_sphere", "pair_loss", "vpl",
]  # fmt: skip

Array = NDArray[np.float64]
_LEAK, _BOUND = 0.2, 5.0


class Network(NamedTuple):
    """Stacked layers of S models; each part but the attention's single layers is an MLP."""

    pair: tuple[Layer, ...]
    attention: tuple[Layer, Layer, Layer]
    mean: Layer
    log_var: Layer
    decoder: tuple[Layer, ...]


def _mlp(layers: Sequence[Layer], x: Tensor) -> Tensor:
    *inner, last = layers
    for layer in inner:
        x = F.leaky_relu(through(layer, x), _LEAK)
    return through(last, x)


def encoded(net: Network, chosen: Tensor, rejected: Tensor, bound: float = _BOUND) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of each user's z [S, U, Z] from n pairs [S, U, n, D]; without a pair the prior's, 0 and 0.

    e_i = MLP([c_i, r_i]), A = softmax(Q Kᵀ/√Z), o = mean_i (A V)_i, then two linear heads.
    """
    if not chosen.shape[2]:
        nothing = chosen.new_zeros(*chosen.shape[:2], net.mean[0].shape[1])
        return nothing, nothing
    e = _mlp(net.pair, torch.cat([chosen, rejected], -1))
    query, key, value = (through(layer, e) for layer in net.attention)
    weights = (query @ key.mT / e.shape[-1] ** 0.5).softmax(-1)
    o = (weights @ value).mean(-2)
    mean, log_var = (through(layer, o).clamp(-bound, bound) for layer in (net.mean, net.log_var))
    return mean, log_var


def decoded(net: Network, x: Tensor, z: Tensor) -> Tensor:
    """r(x, z) [S, U, M] of responses [S, U, M, D] and latents [S, U, Z]."""
    beside = z[:, :, None].expand(*x.shape[:-1], -1)
    return _mlp(net.decoder, torch.cat([x, beside], -1))[..., 0]


def pair_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """−log σ(r(c, z) − r(r, z)) of rewards of any one shape."""
    return F.softplus(rejected - chosen)


def latent_loss(mean: Tensor, log_var: Tensor, prior: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Twice KL(q ‖ prior) [...] of latents [..., Z]: −Σ (1 + d − e^d − (m − m₀)²/v₀), d = log v − log v₀.

    The prior is N(0, I), or a learned mean and log-variance [Z]. The control code writes it without the ½.
    """
    centre, scale = prior or (torch.zeros_like(mean), torch.zeros_like(mean))
    wide = log_var - scale
    return -(1 + wide - wide.exp() - (mean - centre) ** 2 / scale.exp()).sum(-1)


def on_sphere(z: Tensor) -> Tensor:
    """√Z z/|z|, as the language version rescales its samples."""
    return z.shape[-1] ** 0.5 * z / z.norm(dim=-1, keepdim=True)


def categorical_loss(chosen: Tensor, rejected: Tensor) -> tuple[Tensor, Tensor]:
    """Baseline of K atoms: P = Σ_ij p_c(i) p_r(j) (1[i > j] + ½ 1[i = j]); −log P and P from logits [..., K].

    A tie counts half.
    """
    a, b = chosen.log_softmax(-1), rejected.log_softmax(-1)
    size = a.shape[-1]
    wins = torch.ones(size, size, dtype=a.dtype).tril(-1) + 0.5 * torch.eye(size, dtype=a.dtype)
    loss = -(a[..., :, None] + b[..., None, :] + wins.log()).flatten(-2).logsumexp(-1)
    return loss, (-loss).exp()


def mean_variance_loss(chosen: Tensor, rejected: Tensor) -> tuple[Tensor, Tensor]:
    """Baseline of (mean, log-variance) [..., 2]: softplus(−√(2π) z) and z = (m_c − m_r)/√(v_c + v_r)."""
    z = (chosen[..., 0] - rejected[..., 0]) / (chosen[..., 1].exp() + rejected[..., 1].exp()).sqrt()
    return F.softplus(-z * (2 * np.pi) ** 0.5), z


#: Shape -> share of the weight of the KL at the fraction t/T of its rise.
ANNEALERS: Mapping[str, Callable[[float], float]] = {
    "none": lambda t: 1.0, "linear": lambda t: t, "cosine": lambda t: (1 + float(np.cos(np.pi * (t - 1)))) / 2,
    "logistic": lambda t: 1 / (1 + float(np.exp(10 * (0.5 - t)))),
}  # fmt: skip


def annealed(step: int, total: int, shape: str = "cosine", *, baseline: float = 0.1, cyclical: bool = True) -> float:
    """Factor on the weight of the KL: baseline + (1 − baseline) · shape(t/T), t starting again after T if cyclical.

    Raises:
        UnknownNameError: No such shape.

    Source: vpl_llm, vae_utils.py; golden file vpl.json.
    """
    if shape not in ANNEALERS:
        raise UnknownNameError("shape of annealing", shape, ANNEALERS)
    at = step % total if cyclical else min(step, total)
    return baseline + (1 - baseline) * ANNEALERS[shape](at / total)


@dataclass(frozen=True, eq=False)
class Personal:
    """S models side by side, that score responses for a user.

    Attributes:
        network: Stacked layers.
    """

    network: Network

    def latent(self, chosen: ArrayLike, rejected: ArrayLike) -> Array:
        """Mean of z of each user [S, U, Z] from n ≥ 0 pairs of its own [S, U, n, D].

        Raises:
            InputError: Shapes that do not fit, or a feature that is not finite.
        """
        pairs = [_tensor("pairs of a user", x) for x in (chosen, rejected)]
        if pairs[0].shape != pairs[1].shape or pairs[0].ndim != 4:
            raise InputError(f"chosen {tuple(pairs[0].shape)} and rejected {tuple(pairs[1].shape)}: [S, U, n, D] each")
        with torch.no_grad():
            return np.asarray(encoded(self.network, *pairs)[0].double().numpy())

    def __call__(self, responses: ArrayLike, context: Mapping[str, ArrayLike]) -> Array:
        """Rewards [S, U, M] of responses [S, U, M, D], each row for the user who made the pairs of that row.

        Args:
            responses: Features.
            context: "chosen" and "rejected", what each user has compared [S, U, n, D].

        Raises:
            InputError: As `latent`.
        """
        return self.score(responses, self.latent(context["chosen"], context["rejected"]))

    def score(self, responses: ArrayLike, z: ArrayLike) -> Array:
        """Rewards [S, U, M] of responses [S, U, M, D], each row for the user with that latent z [S, U, Z].

        Raises:
            InputError: A feature that is not finite.
        """
        with torch.no_grad():
            found = decoded(self.network, _tensor("responses", responses), _tensor("z", z))
        return np.asarray(found.double().numpy())


def _tensor(name: str, x: ArrayLike) -> Tensor:
    found = np.asarray(x, np.float32)
    if not np.isfinite(found).all():
        raise InputError(f"{name} must be finite")
    return torch.as_tensor(found)


def vpl(
    comparisons: Users, seeds: Sequence[int], *, latent: int = 4, hidden: int = 64, context: int = 8,
    targets: int = 8, batch: int = 64, steps: int = 800, lr: float = 2e-3, kl: float = 1e-2, anneal: str = "none",
    sphere: bool = False,
) -> Personal:  # fmt: skip
    """Encoder and decoder, fitted so that some pairs of a user tell how its other pairs went.

    loss = mean −log σ(r(c, z) − r(r, z)) + kl · KL(q(z | context) ‖ N(0, I)), z ~ q.

    Args:
        comparisons: Users with pairs of their own, S sets or one for all.
        seeds: [S].
        latent: Z.
        hidden: Width of all MLPs, which have two hidden layers.
        context: Pairs that the encoder reads.
        targets: Pairs of the same user that the decoder explains.
        batch: Users per step.
        steps: Of AdamW.
        lr: Its learning rate.
        kl: Weight of the KL.
        anneal: How that weight rises, one of `ANNEALERS`, from a tenth, cyclically ten times.
        sphere: Samples are rescaled to length √Z while it is trained.

    Raises:
        InputError: One user alone, or fewer pairs than context and targets; a number out of range.

    Source: arXiv 2408.10075; network of vpl_llm, sizes of the card.
    """
    net_draws, count = draws_of(seeds), len(seeds)
    chosen, rejected = _checked(comparisons, count, context, targets)
    check_number("kl", kl, lambda x: x >= 0, "a number of at least 0")
    net = _network(net_draws, chosen.shape[-1], check_whole("latent", latent, 1), check_whole("hidden", hidden, 1))
    which, period = torch.arange(count)[:, None, None], max(check_whole("steps", steps, 1) // 10, 1)

    def loss(step: int) -> Tensor:
        who, what = _chosen(net_draws, chosen.shape[1:3], batch, context + targets)
        c, r = chosen[which, who[..., None], what], rejected[which, who[..., None], what]
        mean, log_var = encoded(net, c[:, :, :context], r[:, :, :context])
        z = mean + (log_var / 2).exp() * normals(net_draws, *mean.shape[1:])
        z = on_sphere(z) if sphere else z
        told = pair_loss(decoded(net, c[:, :, context:], z), decoded(net, r[:, :, context:], z)).mean((1, 2))
        return told + kl * annealed(step, period, anneal) * 0.5 * latent_loss(mean, log_var).mean(1)

    descend(_parts(net), loss, steps, lr)
    return Personal(net)


def _checked(users: Users, count: int, context: int, targets: int) -> tuple[Tensor, Tensor]:
    sets, number, pairs = users.chosen.shape[:3]
    if number < 2:
        raise InputError(f"vpl: {number} user; what tells users apart is learned from at least two")
    if pairs < check_whole("context", context, 0) + check_whole("targets", targets, 1):
        raise InputError(f"vpl: {pairs} pairs of each user; context={context} and targets={targets} need more")
    if sets not in (1, count) or not count:
        raise InputError(f"vpl: {sets} sets of users for {count} seeds; one each is needed, or one in all")
    return tuple(_tensor(n, getattr(users, n)).expand(count, -1, -1, -1) for n in ("chosen", "rejected"))


def _chosen(draws: Sequence[torch.Generator], size: Sequence[int], batch: int, pairs: int) -> tuple[Tensor, Tensor]:
    """Users [S, B] and pairs of each [S, B, n], the latter without repeats."""
    who = torch.stack([torch.randint(size[0], (batch,), generator=d) for d in draws])
    return who, torch.stack([torch.rand(batch, size[1], generator=d) for d in draws]).topk(pairs, -1).indices


def _network(draws: Sequence[torch.Generator], width: int, latent: int, hidden: int) -> Network:
    def mlp(inputs: int, outputs: int) -> tuple[Layer, ...]:
        sizes = (inputs, hidden, hidden, outputs)
        return tuple(linear(draws, a, b) for a, b in itertools.pairwise(sizes))

    q, k, v, mean, log_var = (linear(draws, latent, latent) for _ in range(5))
    return Network(mlp(2 * width, latent), (q, k, v), mean, log_var, mlp(width + latent, 1))


def _parts(net: Network) -> list[Tensor]:
    layers: list[Any] = [*net.pair, *net.attention, net.mean, net.log_var, *net.decoder]
    return [part for layer in layers for part in layer]
