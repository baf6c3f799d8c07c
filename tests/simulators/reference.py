"""A plain Python bandit: integers, lists and the math library, sharing no code with the simulators."""

from __future__ import annotations

import math

MASK = 2**64 - 1
GREEDY = 2**40


def mix(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def fold(key: int, counter: int) -> int:
    return mix((key + 0x9E3779B97F4A7C15 * (counter + 1)) & MASK)


def uniform(seed: int, step: int, attempt: int, prompt: int, rollout: int, draw: int) -> float:
    key = fold(fold(fold(mix(seed), step), attempt), prompt)
    return (fold(key, rollout * 65536 + draw) >> 11) / 2**53


def law(name: str, parameters: tuple[float, ...], u: float, v: float, w: float) -> float:
    """One X from three uniforms."""
    if name == "three_level":
        levels, shares = parameters[:3], parameters[3:]
        return levels[0] if u < shares[0] else levels[1] if u < shares[0] + shares[1] else levels[2]
    if name == "student_t":
        df, scale = parameters
        return scale * math.sqrt(df * ((1 - u) ** (-2 / df) - 1)) * math.cos(2 * math.pi * v)
    z = math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)
    if name == "contaminated_normal":
        share, outlier_scale, sigma = parameters
        return z * (outlier_scale if w < share else sigma)
    return math.exp(parameters[0] * z) if name == "log_normal" else parameters[0] * z


def softmax(logits: list[float]) -> list[float]:
    exps = [math.exp(x - max(logits)) for x in logits]
    return [e / sum(exps) for e in exps]


def head(
    means: list[float],
    logits: list[float],
    name: str,
    parameters: tuple[float, ...],
    centre: float,
    uniforms: list[float],
) -> tuple[int, float, float]:
    """Arm, reward and log-probability of one head from its four uniforms."""
    chances = softmax(logits)
    arm = next((a for a in range(len(means)) if sum(chances[: a + 1]) > uniforms[0]), len(means) - 1)
    return arm, reward(means[arm], name, parameters, centre, uniforms[1:]), math.log(chances[arm])


def reward(mean: float, name: str, parameters: tuple[float, ...], centre: float, uniforms: list[float]) -> float:
    if name == "bernoulli":
        return float(uniforms[0] < mean)
    u, v, w = uniforms
    return mean + law(name, parameters, u, v, w) - centre
