"""LaRe's decoders: from encoded steps and returns to a reward of each step, by a network or by ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.errors import InputError, UnknownNameError, check_number, check_whole
from lab.reward_models.perceptrons import apply, perceptron
from lab.rewards.lare import draw_steps, rd, rrd_of_drawn

__all__ = ["LOSSES", "Decoder", "agreement", "direct", "network", "ridge", "team"]

Array = NDArray[np.float64]

#: Encoded steps [..., F] -> reward of each [...].
Decoder = Callable[[ArrayLike], Array]

#: What a network can be fitted by.
LOSSES = ("rd", "rrd", "rrd-unbiased")


def network(
    inputs: ArrayLike, returns: ArrayLike, lengths: ArrayLike | None = None, *, loss: str = "rrd-unbiased",
    draws: int = 16, hidden: Sequence[int] = (64, 64), lr: float = 1e-3, steps: int = 400, batch: int = 32,
    seed: int = 0,
) -> Decoder:  # fmt: skip
    """A multilayer perceptron with ReLU in float32, fitted by Adam; needs torch.

    Args:
        inputs: Encoded steps [N, T, F].
        returns: [N].
        lengths: Steps of each episode [N]; all T by default.
        loss: One of `LOSSES`; RD reads every step, the others `draws` of them.
        draws: K.
        hidden: Widths of the hidden layers (256, 256 as published).
        lr: Learning rate (3e-4 as published).
        steps: Of the optimizer.
        batch: Episodes per step, at most N.
        seed: Draws the first weights, the batches and the steps.

    Raises:
        UnknownNameError: No such loss. InputError: shapes or numbers that do not fit, or torch is missing.

    Source: arXiv 2412.11120, decoder; sizes of the lab.
    """
    x, total, length = _episodes(inputs, returns, lengths)
    if loss not in LOSSES:
        raise UnknownNameError("loss of a return decomposition", loss, LOSSES)
    check_number("lr", lr, lambda v: v > 0, "a number above 0")
    size, rng = min(check_whole("batch", batch, 1), len(x)), np.random.default_rng(seed)
    widths = [x.shape[-1], *(check_whole("hidden", h, 1) for h in hidden), 1]
    layers = perceptron(widths, rng)
    import torch

    def forward(given: Array) -> torch.Tensor:
        return apply(layers, torch.tensor(given, dtype=torch.float32))[..., 0]

    optimizer = torch.optim.Adam(layers, lr=lr, fused=True)
    for _ in range(check_whole("steps", steps, 0)):
        chosen = rng.permutation(len(x))[:size]
        seen = x[chosen]
        if loss != "rd":
            seen = np.take_along_axis(seen, draw_steps(length[chosen], draws, rng)[..., None], axis=1)
        rewards = forward(seen)
        slope = _slope(loss, rewards.detach().numpy().astype(np.float64), total[chosen], length[chosen])
        optimizer.zero_grad()
        rewards.backward(torch.tensor(slope, dtype=torch.float32))
        optimizer.step()

    def decode(given: ArrayLike) -> Array:
        with torch.no_grad():
            return forward(_fits(given, widths[0])).numpy().astype(np.float64)

    return decode


def _slope(loss: str, rewards: Array, returns: Array, lengths: NDArray) -> Array:
    """Gradient of a loss to the rewards that were decoded."""
    if loss == "rd":
        return rd(rewards, returns, lengths)[1]
    return rrd_of_drawn(rewards, returns, lengths, unbiased=loss == "rrd-unbiased")[1]


def ridge(inputs: ArrayLike, returns: ArrayLike, lengths: ArrayLike | None = None, *, penalty: float = 1.0) -> Decoder:
    """Ridge regression of the returns on sums of quadratic features: milliseconds, no torch.

    r̂(x) = c + w · z + q − mean(q), q = z · W z / √F, z the inputs with mean 0 and variance 1 over the steps. The
    constant c is not penalised; √F keeps the F² products from outweighing the F inputs.

    Args:
        inputs: Encoded steps [N, T, F].
        returns: [N].
        lengths: Steps of each episode [N]; all T by default.
        penalty: Of ‖w‖² + ‖W‖², times the mean number of steps.

    Raises:
        InputError: Shapes or numbers that do not fit.

    Source: the lab's own, beside the decoder of arXiv 2412.11120.
    """
    x, total, length = _episodes(inputs, returns, lengths)
    check_number("penalty", penalty, lambda v: v > 0, "a number above 0")
    mask = (np.arange(x.shape[1]) < length[:, None])[..., None]
    number, width = length.sum(), x.shape[-1]
    centre = (x * mask).sum(axis=(0, 1)) / number
    spread = np.sqrt(((x - centre) ** 2 * mask).sum(axis=(0, 1)) / number)
    spread[spread == 0] = 1.0
    z = (x - centre) / spread * mask
    squares = np.swapaxes(z, 1, 2) @ z / np.sqrt(width)
    usual = squares.sum(axis=0) / number
    sums = np.concatenate([z.sum(axis=1), (squares - length[:, None, None] * usual).reshape(len(x), -1)], axis=1)
    constant = total.sum() / number
    kernel = sums @ sums.T + penalty * length.mean() * np.eye(len(x))
    weights = sums.T @ np.linalg.solve(kernel, total - constant * length)
    linear, quadratic = weights[:width], weights[width:].reshape(width, width)
    constant -= (usual * quadratic).sum()

    def decode(given: ArrayLike) -> Array:
        own = (_fits(given, width) - centre) / spread
        return np.asarray(constant + own @ linear + np.vecdot(own @ quadratic, own) / np.sqrt(width))

    return decode


def direct(given: ArrayLike) -> Array:
    """The ablation without a decoder: the model's factors are the reward, added up as they are [..., F] -> [...].

    Source: arXiv 2412.11120, the direct form; that what it writes is a sum of its factors is the lab's stand-in.
    """
    return np.asarray(given, dtype=np.float64).sum(axis=-1)


def team(
    inputs: ArrayLike, returns: ArrayLike, lengths: ArrayLike | None = None, *, fit: Callable[..., Decoder] = ridge,
    identity: bool = True, **options: Any,
) -> Decoder:  # fmt: skip
    """One decoder for all agents: the team's return is the sum of r̂ over agents and steps.

    Args:
        inputs: Encoded steps of each agent [N, T, A, F].
        returns: Of the team [N].
        lengths: Steps of each episode [N]; all T by default.
        fit: `ridge` or `network`.
        identity: Each agent's factors are followed by its number, one-hot.
        **options: Of `fit`.

    Returns:
        Decoder of steps of all agents [..., A, F] -> [..., A].

    Raises:
        InputError: As `fit`.

    Source: arXiv 2412.11120, the multi-agent form; the authors' code.
    """
    x = np.asarray(inputs, dtype=np.float64)
    if x.ndim != 4:
        raise InputError(f"inputs have shape {x.shape}; those of a team are [N, T, A, F]")
    agents = x.shape[2]

    def told(given: Array) -> Array:
        own = np.broadcast_to(np.eye(agents), (*given.shape[:-2], agents, agents))
        return np.concatenate([given, own], axis=-1) if identity else given

    flat = told(x).reshape(len(x), x.shape[1] * agents, -1)
    each = fit(flat, returns, None if lengths is None else agents * np.asarray(lengths), **options)
    return lambda given: each(told(np.asarray(given, dtype=np.float64)))


def agreement(decoder: Decoder, inputs: ArrayLike, rewards: ArrayLike) -> float:
    """Correlation of decoded and true step rewards, over all steps of all episodes.

    Args:
        decoder: See `network` and `ridge`.
        inputs: Encoded steps [N, T, F].
        rewards: Their true rewards [N, T].

    Returns:
        From −1 to 1; 0 where the decoder says the same of every step.
    """
    found, true = np.ravel(decoder(inputs)), np.ravel(np.asarray(rewards, dtype=np.float64))
    if np.ptp(found) <= 1e-12 * np.abs(found).max() or not np.ptp(true):
        return 0.0
    return float(np.corrcoef(found, true)[0, 1])


def _fits(inputs: ArrayLike, width: int) -> Array:
    x = np.asarray(inputs, dtype=np.float64)
    if not x.ndim or x.shape[-1] != width:
        raise InputError(f"steps have shape {x.shape}; this decoder was fitted on [..., {width}]")
    return x


def _episodes(inputs: ArrayLike, returns: ArrayLike, lengths: ArrayLike | None) -> tuple[Array, Array, NDArray]:
    x, total = np.asarray(inputs, dtype=np.float64), np.asarray(returns, dtype=np.float64)
    if x.ndim != 3 or not x.size or total.shape != x.shape[:1]:
        raise InputError(f"inputs {x.shape} and returns {total.shape} must be [N, T, F] and [N]")
    if not (np.isfinite(x).all() and np.isfinite(total).all()):
        raise InputError("inputs and returns must be finite")
    length = np.full(len(x), x.shape[1]) if lengths is None else np.asarray(lengths)
    if length.shape != total.shape or (length < 1).any() or (length > x.shape[1]).any():
        raise InputError(f"lengths={lengths!r}; they must be [N], from 1 to T = {x.shape[1]}")
    return x, total, length
