"""The KL estimators by enumeration of a policy over three actions."""

import numpy as np
import pytest

from lab.errors import MissingFieldError, UnknownNameError
from lab.objectives import ESTIMATORS, kl_gradient, kl_value, weights

POLICY = np.array([0.6, 0.3, 0.1])
REFERENCE = np.array([0.2, 0.3, 0.5])
KL = float(POLICY @ np.log(POLICY / REFERENCE))


def expectation(kind: str, policy: np.ndarray = POLICY, reference: np.ndarray = REFERENCE) -> float:
    return float(policy @ kl_value(kind, np.log(policy), np.log(reference)))


def exact_gradient(policy: np.ndarray = POLICY, reference: np.ndarray = REFERENCE) -> np.ndarray:
    """dKL/dlogit_b = π_b (log(π_b/ref_b) − KL)."""
    return policy * (np.log(policy / reference) - policy @ np.log(policy / reference))


def expected_gradient(kind: str) -> np.ndarray:
    """Σ_a π(a) · dKL/dlogp(a) · ∇ log π(a), what ascent with these weights follows on average."""
    slope = kl_gradient(kind, np.log(POLICY), np.log(REFERENCE))
    score = np.eye(3) - POLICY
    return (POLICY * slope) @ score


@pytest.mark.parametrize("kind", ["k1", "k3", "k3+"])
def test_unbiased_estimators_of_the_value(kind: str) -> None:
    assert expectation(kind) == pytest.approx(KL, rel=1e-12)


def test_biased_estimators_of_the_value() -> None:
    log = np.log(POLICY / REFERENCE)
    assert expectation("k2") == pytest.approx(POLICY @ log**2 / 2)
    assert expectation("abs") == pytest.approx(POLICY @ np.abs(log))
    assert expectation("k2") != pytest.approx(KL, rel=0.01)


def test_k3_is_never_negative_and_k1_is() -> None:
    values = {kind: kl_value(kind, np.log(POLICY), np.log(REFERENCE)) for kind in ESTIMATORS}
    assert (values["k3"] >= 0).all()
    assert values["k1"].min() < 0
    assert np.array_equal(values["k3"], values["k3+"])


def test_the_best_value_has_not_the_best_gradient() -> None:
    """As a term of the loss k2 (and k3+) follow the gradient of the KL; k1 follows nothing at all, k3 another law."""
    assert expected_gradient("k2") == pytest.approx(exact_gradient(), abs=1e-12)
    assert expected_gradient("k3+") == pytest.approx(exact_gradient(), abs=1e-12)
    assert expected_gradient("k1") == pytest.approx(np.zeros(3), abs=1e-12)
    reverse = POLICY - REFERENCE  # the gradient of KL(reference ‖ policy)
    assert expected_gradient("k3") == pytest.approx(reverse, abs=1e-12)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_gradients_are_those_of_the_values(kind: str) -> None:
    new, ref, step = np.linspace(-3, 0, 31), np.full(31, -1.01), 1e-6
    value = "k2" if kind == "k3+" else kind
    slope = (kl_value(value, new + step, ref) - kl_value(value, new - step, ref)) / (2 * step)
    assert kl_gradient(kind, new, ref) == pytest.approx(slope, abs=1e-6)


def test_extreme_log_ratios_are_clamped() -> None:
    far = np.array([-700.0, -40.0, 0.0, 40.0, 700.0])
    for kind in ESTIMATORS:
        assert np.isfinite(kl_value(kind, far, np.zeros(5))).all()
        assert np.isfinite(kl_gradient(kind, far, np.zeros(5))).all()
    assert kl_value("k3", far, np.zeros(5)).max() == 10.0
    assert kl_gradient("k3", far, np.zeros(5))[[0, 1]].tolist() == [0.0, 0.0]


def test_a_penalty_needs_a_reference_and_a_known_name() -> None:
    logp = np.zeros((1, 2, 3))
    with pytest.raises(MissingFieldError, match="pass logp_ref="):
        weights("ppo_clip", logp, np.ones((1, 2)), logp=logp, kl="k3", kl_beta=0.1)
    with pytest.raises(UnknownNameError, match="nearest: 'k3'"):
        weights("ppo_clip", logp, np.ones((1, 2)), logp=logp, kl="k33", kl_beta=0.1, logp_ref=logp)
    plain = weights("ppo_clip", logp, np.ones((1, 2)), logp=logp)
    assert np.array_equal(weights("ppo_clip", logp, np.ones((1, 2)), logp=logp, kl="k3", kl_beta=0.0), plain)
