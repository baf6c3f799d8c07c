"""Preference pairs with known token rewards."""

from typing import TYPE_CHECKING, Annotated

from simulators.declared import Declared, Range

if TYPE_CHECKING:
    from simulators.preferences.world import Preferences


def preferences(
    pairs: Annotated[int, Range(1, 4096, slider=(4, 100)), "Pairs"] = 30,
    length: Annotated[int, Range(1, 256), "Tokens", "Of a response."] = 8,
    *,
    vocabulary: Annotated[int, Range(1, 256), "Vocabulary", "Number of tokens."] = 6,
    signal: Annotated[
        float,
        Range(-1000, 1000, slider=(0, 3, 0.1)),
        "Signal in token rewards",
        "How much of the true token rewards is in the self-made ones.",
    ] = 1.0,
    noise: Annotated[float, Range(-1000, 1000), "Noise in token rewards", "How much noise is in them."] = 1.0,
) -> "Preferences":
    """Preference pairs with known token rewards, in groups of two."""
    from simulators.preferences.world import Preferences

    return Preferences(pairs, length=length, vocabulary=vocabulary, signal=signal, noise=noise)


HERE = Declared(
    preferences, label="preference pairs", provides=("token_rewards",), components=("preferred",),
    run={"group_size": 2, "lr": 20.0}, fixed=("group_size",), shown=("pairs", "signal"), page={"runs": 8},
)  # fmt: skip
