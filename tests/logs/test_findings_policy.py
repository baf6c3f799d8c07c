"""What is found in the metrics of an update and in the responses, each threshold at its edge."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import lab
from lab.logs import Finding
from lab.logs.findings import contract
from tests.logs.logs import write_log
from tests.logs.test_findings_rewards import PROMPTS, by_step, sentence, spread

Asked = Callable[..., Finding | None]
NAMES = {
    "clip_share": "clip_ratio/region_mean",
    "length": "completions/mean_length",
    "truncated": "completions/clipped_ratio",
}


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """`asked(kind, {metric: values}, thresholds)`: what one check finds in a log of metrics alone."""
    folders = (tmp_path / str(i) for i in itertools.count())

    def of(kind: str, metrics: Mapping[str, Sequence[float]], thresholds: Any = None, **options: Any) -> Finding | None:
        steps = max(map(len, metrics.values()))
        metrics = {"reward": [0.5] * steps, **metrics}
        entries = [{NAMES.get(n, n): v[i] for n, v in metrics.items() if i < len(v)} for i in range(steps)]
        state = {"log_history": [{"step": i + 1, **entry} for i, entry in enumerate(entries)]}
        log = write_log(next(folders), options.pop("rewards", np.empty((0, 1, 1, 1))), state=state, **options)
        if not any((log / "completions").iterdir()):
            (log / "completions").rmdir()
        return contract.checks()[kind].run(lab.diagnose(log, []), **(thresholds or {}))

    return of


RISES, FLAT = np.linspace(0, 1, 30).tolist(), [0.5] * 30


def fall(end: float, after: int, steps: int = 30) -> list[float]:
    """1 nat until so many updates are done, `end` from then on."""
    return [1.0] * after + [end] * (steps - after)


@pytest.mark.parametrize(("end", "seen"), [(0.101, False), (0.099, True)])
def test_entropy_collapse_at_the_edge(asked: Asked, end: float, seen: bool) -> None:
    finding = asked("policy.entropy", {"entropy": fall(end, 15), "reward": FLAT})
    assert (finding is not None) is seen
    if finding:
        assert sentence(finding).startswith(f"The entropy falls from 1 to {end} nats, from step 16 on below 10%")
        assert (finding.severity, finding.first_step, finding.share) == ("alarm", 16, 0.5)
        assert "the policy has collapsed" in str(finding)


@pytest.mark.parametrize(("after", "severity"), [(9, "alarm"), (10, "note")])
def test_an_entropy_that_falls_as_the_reward_rises(asked: Asked, after: int, severity: str) -> None:
    finding = asked("policy.entropy", {"entropy": fall(0.01, after), "reward": RISES})
    assert finding is not None and finding.severity == severity
    assert ("after 10 updates: it collapses" if severity == "alarm" else "the policy has settled") in sentence(finding)


def test_an_entropy_that_recovers_is_no_collapse(asked: Asked) -> None:
    assert asked("policy.entropy", {"entropy": [1.0] * 10 + [0.01] * 10 + [0.5] * 10, "reward": FLAT}) is None
    assert asked("policy.entropy", {"entropy": fall(0.01, 3, steps=5)}) is None, "five values are too few"
    assert asked("policy.entropy", {"reward": FLAT}) is None


@pytest.mark.parametrize(("norm", "severity"), [(9.9, None), (10.1, "warning"), (999, "warning"), (1001, "alarm")])
def test_gradient_spikes_at_the_edge(asked: Asked, norm: float, severity: str | None) -> None:
    norms = [0.2] * 30
    norms[19] = 0.2 * norm
    finding = asked("policy.gradient_spike", {"grad_norm": norms})
    assert (finding and finding.severity) == severity
    if finding:
        assert "spikes in 1 of 30 steps (20), most in step 20" in sentence(finding)
        assert "The log has no rollouts of these steps." in str(finding)
        assert finding.rows.row(0, named=True) == {
            "step": 20, "value": pytest.approx(0.2 * norm), "usual": 0.2, "times": pytest.approx(norm), "group": None,
            "rollout": None, "reward": None, "advantage": None,
        }  # fmt: skip


def test_the_rollout_behind_a_gradient_spike(asked: Asked) -> None:
    rewards = spread(2)
    rewards[1, 5, 3, 0] = 50.0
    norms = [0.2] * 30
    norms[1] = norms[24] = 4.0
    finding = asked(
        "policy.gradient_spike", {"grad_norm": norms, "reward_std": [0.3] * 30}, rewards=rewards, prompts=PROMPTS
    )
    assert "Behind that of step 2 stands rollout 3 of group 5: its reward is 50, its advantage" in sentence(finding)
    assert "1 of the spikes are known by step alone" in str(finding)
    assert finding is not None
    assert finding.rows.select("step", "group", "rollout", "reward").rows() == [(2, 5, 3, 50.0), (25, None, None, None)]


def test_steps_without_a_gradient_make_no_spike_of_the_next(asked: Asked) -> None:
    norms = [0.0, 0.0, 0.0, 0.1, 0.0, 0.3] * 5
    assert asked("policy.gradient_spike", {"grad_norm": norms}) is None
    falling = (100 * 0.8 ** np.arange(60)).tolist()
    assert asked("policy.gradient_spike", {"grad_norm": falling}) is None, "norms that shrink by and by"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_update_that_is_no_number(asked: Asked, value: float) -> None:
    finding = asked("policy.not_finite", {"grad_norm": [0.1, 0.1, value, 0.1], "loss": [0.0] * 4})
    word = "NaN" if value != value else "infinite"
    assert f"The gradient norm is {word} in 1 of 4 steps, first in step 3" in sentence(finding)
    assert finding is not None and (finding.severity, finding.first_step, finding.share) == ("alarm", 3, 0.25)
    assert asked("policy.not_finite", {"grad_norm": [0.1] * 4, "step_time": [value] * 4}) is None


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ([0.1] + [4.9] * 8, None),
        ([0.1] * 5 + [5.1] * 4, "warning"),
        ([0.1, 9.9] + [0.1] * 7, None),
        ([0.1, 10.1] + [0.1] * 7, "alarm"),
    ],
)
def test_a_divergence_at_the_edge(asked: Asked, values: list[float], severity: str | None) -> None:
    finding = asked("policy.kl", {"kl": values})
    assert (finding and finding.severity) == severity
    if finding:
        assert f"goes from 0.1 to {max(values)} nats" in sentence(finding)
    assert asked("policy.kl", {"kl": [0.1] + [9.0] * 4}) is None, "five values are too few"


@pytest.mark.parametrize(("steps", "share", "seen"), [(2, 0.31, False), (3, 0.29, False), (3, 0.31, True)])
def test_clipping_at_the_edge(asked: Asked, steps: int, share: float, seen: bool) -> None:
    finding = asked("policy.clip", {"clip_share": [share] * steps + [0.1] * (30 - steps)})
    assert (finding is not None) is seen
    if finding:
        assert "more than 30% of the tokens in 3 of 30 steps, on 31% at most" in sentence(finding)
        assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("metric", "value", "severity"),
    [
        ("sampling/sampling_logp_difference/mean", 0.049, None),
        ("sampling/sampling_logp_difference/mean", 0.051, "warning"),
        ("rollout_corr/k3_kl", 0.51, "alarm"),
        ("sampling/importance_sampling_ratio/mean", 0.34, None),
        ("sampling/importance_sampling_ratio/mean", 0.33, "warning"),
        ("rollout_corr/rollout_is_mean", 3.1, "warning"),
    ],
)
def test_an_off_policy_gap_at_the_edge(asked: Asked, metric: str, value: float, severity: str | None) -> None:
    finding = asked("policy.off_policy", {metric: [value] * 8 + [5.0]})
    assert (finding and finding.severity) == severity
    if finding:
        assert f"{metric} is {value:.3g}" in sentence(finding)


@pytest.mark.parametrize(("times", "seen"), [(1.9, False), (2.1, True)])
def test_responses_that_grow_for_nothing(asked: Asked, times: float, seen: bool) -> None:
    longer = [100.0, 101.0, 99.0] * 3 + [150.0] * 9 + [100.0 * times] * 9
    finding = asked("policy.length", {"length": longer, "reward": FLAT[:27]})
    assert (finding is not None) is seen
    if finding:
        assert f"Responses grow from 100 to {100 * times:.4g} tokens" in sentence(finding)
        assert finding.severity == "warning"
    assert asked("policy.length", {"length": longer, "reward": RISES[:27]}) is None, "the reward rises with them"


@pytest.mark.parametrize(
    ("first", "last", "seen"),
    [
        (0.9, 0.89, False),
        (0.9, 0.91, True),
        (0.0, 0.24, False),
        (0.0, 0.26, True),
        (0.3, 0.49, False),
        (0.3, 0.51, True),
    ],
)
def test_responses_that_are_cut_off(asked: Asked, first: float, last: float, seen: bool) -> None:
    shares = [first] * 10 + [first] * 10 + [last] * 10
    finding = asked("policy.truncated", {"truncated": shares, "reward": FLAT})
    assert (finding is not None) is seen
    if finding:
        assert f"{last:.1%} of the responses are cut off in the last third of the steps, {first:.1%}" in sentence(
            finding
        )
        assert finding.severity == "warning"
    assert asked("policy.truncated", {"truncated": shares, "reward": RISES}) is None, "the reward rises all the same"


def test_what_cut_off_responses_are_paid(tmp_path: Path) -> None:
    rows = {"step": 1, "group": [0, 0, 1, 1], "reward": [0.0, 1.0, 0.0, 0.5], "truncated": [True, False, True, False]}
    log = lab.save_log(pl.DataFrame(rows), tmp_path / "run.jsonl")
    finding = contract.checks()["policy.truncated"].run(lab.diagnose(log, []), most=0.5)
    assert sentence(finding).endswith("the reward does not rise: those cut off are paid 0, the others 0.75.")


def rambling(circles: int) -> dict[str, list[str]]:
    """64 long completions of different words, the first ones of which repeat one line."""
    words = np.random.default_rng(circles).integers(0, 10**6, (64, 60))
    return {
        "completion": ["again and again, " * 25 if i < circles else " ".join(map(str, words[i])) for i in range(64)]
    }


@pytest.mark.parametrize(("first", "last", "seen"), [(0, 3, False), (0, 4, True), (4, 7, False), (4, 8, True)])
def test_completions_that_repeat_themselves(asked: Asked, first: int, last: int, seen: bool) -> None:
    columns = by_step(rambling(first), rambling(first), rambling(last))
    metrics = {"reward": [0.5]}
    finding = asked("policy.repetition", metrics, rewards=spread(3), prompts=PROMPTS, columns=columns)
    assert (finding is not None) is seen
    if finding:
        assert f"{last / 64:.1%} of the long completions of the last steps repeat themselves" in sentence(finding)
        assert finding.rows.height == first + last
        few = asked("policy.repetition", metrics, {"letters": 500}, rewards=spread(3), prompts=PROMPTS, columns=columns)
        assert few is None


@pytest.mark.parametrize("kind", sorted(contract.checks()))
def test_metrics_alone_and_rollouts_alone(asked: Asked, kind: str, tmp_path: Path) -> None:
    assert asked(kind, {"entropy": [1.0] * 12, "kl": [0.1] * 12, "grad_norm": [0.1] * 12}) is None
    rows = {"step": 1, "group": [0, 0, 1, 1], "reward": [0.0, 1.0, 1.0, 0.0]}
    log = lab.save_log(pl.DataFrame(rows), tmp_path / "run.jsonl")
    assert contract.checks()[kind].run(lab.diagnose(log, [])) is None


def test_loss_zero_is_explained_and_not_reported(tmp_path: Path) -> None:
    state = {"log_history": [{"step": s, "loss": 0.0, "grad_norm": 0.1, "entropy": 1.0} for s in (1, 2)]}
    found = lab.diagnose(write_log(tmp_path / "run", state=state), []).findings
    assert [f.kind for f in found if f.kind.startswith(("policy", "rewards"))] == []
    assert "A loss of 0 is normal" in str(found[0])
