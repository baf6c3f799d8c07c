"""GDSO's losses against torch autograd, its rewards by hand, RISD's fixed point, bad input."""

import numpy as np
import pytest
import torch

import lab
from lab.errors import InputError, MissingFieldError, UnknownNameError
from lab.rewards.gdso import gdso
from simulators.rubric.marks import MARKS
from simulators.rubric.scorer import log_softmax

RNG = np.random.default_rng(0)
P, G = 4, 3
LOGITS = RNG.normal(size=(P, G, 9))
ANNOTATED = np.array([3.0, 1.5, 5.0, 5.0])
NEW, OLD = RNG.normal(-1, 0.3, (2, P, G, 2))
ADVANTAGE = RNG.normal(size=(P, G))
BATCH = {"scores": {"log_marks": log_softmax(LOGITS)}, "annotated": ANNOTATED, "logp": OLD}


def written(logits, new, pointwise, pairwise, policy, pairs="gap"):  # type: ignore[no-untyped-def]
    """L_GRPO + a_pt L_CE + a_pw L_pw as the paper's sums, of torch tensors."""
    log_q = torch.log_softmax(logits, -1)
    mu = (log_q.exp() * torch.tensor(MARKS)).sum(-1)
    total = -policy * (torch.tensor(ADVANTAGE)[..., None] * (new - torch.tensor(OLD)).exp()).sum() / (P * G)
    for w in (0, 2):
        for side, s in ((w, ANNOTATED[w]), (w + 1, ANNOTATED[w + 1])):
            total = total - pointwise * log_q[side, :, int(2 * s - 2)].sum() / (2 * G) / (P / 2)
        for i in range(G):
            for k in range(G):
                lead, right = mu[w, i] - mu[w + 1, k], ANNOTATED[w] - ANNOTATED[w + 1]
                worse = -torch.nn.functional.logsigmoid(lead * np.sign(right)) if right else 0.0
                total = total + pairwise * ((lead - right).abs() / 4 if pairs == "gap" else worse) / G**2 / (P / 2)
    return total


@pytest.mark.parametrize("given", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 2.0, 1.0), (0.5, 2.0, 1.0, "bradley-terry")])
def test_weights_are_minus_the_gradient_of_the_loss(given):
    options = dict(zip(("pointwise", "pairwise", "policy", "pairs"), given, strict=False))
    logits, new = torch.tensor(LOGITS, requires_grad=True), torch.tensor(NEW, requires_grad=True)
    value = written(logits, new, **options) + 0 * new.sum()
    value.backward()
    assert lab.objectives.loss("gdso", NEW, ADVANTAGE, **BATCH, **options).item() == pytest.approx(value.item())
    found = lab.objectives.weights("gdso", NEW, ADVANTAGE, **BATCH, **options)
    assert found["logp"] == pytest.approx(-new.grad.numpy(), rel=1e-10, abs=1e-14)
    w = found["log_marks"]
    on_logits = w - w.sum(-1, keepdims=True) * np.exp(BATCH["scores"]["log_marks"])
    assert on_logits == pytest.approx(-logits.grad.numpy(), rel=1e-10, abs=1e-14)


def test_rewards_by_hand():
    expected = np.array([[3.0, 4.0], [2.0, 2.0]])
    found = gdso(np.zeros((2, 2, 1)), annotated=np.array([4.0, 1.0]), expected_mark=expected)
    assert found[..., 0] == pytest.approx(np.array([[0.75 + 0.5, 1 + 0.75], [0.75 + 0.625, 0.75 + 0.625]]))


def test_risd_rests_at_the_teacher_s_distribution():
    q = np.exp(BATCH["scores"]["log_marks"])
    given = {"scores": BATCH["scores"], "teacher_marks": q}
    w = lab.objectives.weights("risd", NEW, ADVANTAGE, **given)["log_marks"]
    assert w - w.sum(-1, keepdims=True) * q == pytest.approx(0, abs=1e-16)
    assert lab.objectives.loss("risd", NEW, ADVANTAGE, **given).item() == pytest.approx(0, abs=1e-15)
    hard = lab.objectives.weights("risd", NEW, ADVANTAGE, **given, hard=True)["log_marks"]
    assert (hard.argmax(-1) == q.argmax(-1)).all() and np.unique(hard).tolist() == [0, 1 / 12]


def test_a_mark_between_two_of_the_rubric_is_shared_by_both():
    between = {**BATCH, "annotated": np.array([3.0, 1.6, 5.0, 5.0])}
    w = lab.objectives.weights("gdso", NEW, ADVANTAGE, **between, pairwise=0.0)["log_marks"]
    assert 12 * w[1, 0] == pytest.approx([0, 0.8, 0.2, 0, 0, 0, 0, 0, 0])


def test_bad_input_is_refused():
    wrong = {**BATCH, "annotated": np.array([3.0, 5.5, 5.0, 5.0])}
    with pytest.raises(InputError, match=r"annotated has 5.5; marks go from 1 to 5"):
        lab.objectives.weights("gdso", NEW, ADVANTAGE, **wrong)
    with pytest.raises(UnknownNameError, match="bradley-terry"):
        lab.objectives.weights("gdso", NEW, ADVANTAGE, **BATCH, pairs="bradley")
    with pytest.raises(InputError, match=r"3 prompts.*side by side"):
        gdso(np.zeros((3, 2, 1)), annotated=np.ones(3), expected_mark=np.ones((3, 2)))
    with pytest.raises(MissingFieldError, match="rubric"):
        lab.train("bandit", "gdso", steps=1, seeds=1)
