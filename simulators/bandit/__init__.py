"""The bandit: each prompt a softmax over arms, all truth in a sum."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from simulators.declared import Declared, OneOf, Range, When

if TYPE_CHECKING:
    from simulators.bandit.world import Bandit


def _laws() -> Iterable[str]:
    from simulators.reward_laws import named

    return [law.name for law in named()]


def _noisy() -> Iterable[str]:
    from simulators.bandit.families import NOISY

    return NOISY


WORDS = {"bernoulli": "right or wrong", "three_level": "three level", "student_t": "student t",
         "contaminated_normal": "contaminated normal", "log_normal": "log normal"}  # fmt: skip


def bandit(
    prompts: Annotated[int, Range(1, 65536, slider=(1, 32)), "Prompts", "From easy to hard."] = 8,
    arms: Annotated[int, Range(2, 4096), "Arms", "Of each prompt."] = 8,
    *,
    law: Annotated[
        str, OneOf(_laws, WORDS), "Reward law", "How rewards scatter around the expected reward of an arm."
    ] = "bernoulli",
    noise: Annotated[
        float,
        Range(0, 1000, slider=(0, 2, 0.05)),
        "Noise",
        "Spread of ordinary rewards under the laws that have one; outliers are ten times as wide.",
        When("law", _noisy),
    ] = 0.3,
    seed: Annotated[
        int | None,
        Range(0, 2**63 - 1),
        "Seed of the arms",
        "Draws the mean of each arm uniformly from [0, 1); without one, prompts go from easy to hard.",
    ] = None,
    success: Annotated[
        Any, "Expected rewards", "Of each arm [P, A], prompt by prompt; in the place of prompts, arms and seed."
    ] = None,
) -> "Bandit":
    """Each prompt has a few arms; a response is one of them."""
    import numpy as np

    from simulators.bandit.families import graded, noisy
    from simulators.bandit.world import Bandit
    from simulators.random import uniforms

    if success is not None:
        return Bandit(means=_table(success), law=noisy(law, noise))
    if seed is None:
        return graded(prompts, arms, law=law, noise=noise)
    # A step that no run comes to: the run with this seed must not draw its actions by the arms' own numbers.
    means = uniforms(seed, step=2**63, prompt=np.arange(prompts)[:, None], draw=np.arange(arms))
    return Bandit(means=means, law=noisy(law, noise))


def _table(success: Any) -> Any:
    """Rows of arms as an array; text such as "0.2,0.5; 0.1,0.9" is read."""
    import numpy as np

    if isinstance(success, str):
        try:
            success = [[float(number) for number in row.split(",")] for row in success.strip("; ").split(";")]
        except ValueError as error:
            raise ValueError(f'success={success!r}: {error}; write rewards as "0.2,0.5; 0.1,0.9"') from None
    rows = [row if isinstance(row, Sequence | np.ndarray) else [row] for row in success]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"success has rows of {', '.join(str(len(r)) for r in rows)} arms; all prompts need as many")
    return np.atleast_2d(np.asarray(success, dtype=np.float64))


HERE = Declared(bandit, provides=("greedy_rewards",), shown=("prompts", "law", "noise"), listed=True)
