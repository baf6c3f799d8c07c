"""LaRe: losses against autograd and by hand, draws, self-verification, decoders, the rule, the studies."""

from itertools import combinations

import numpy as np
import pytest

import lab
from lab.errors import InputError, UnknownNameError
from lab.reward_models import lare as decoders
from lab.rewards import lare
from lab.studies import redistributed_episode, redistribution_study, redistribution_training
from simulators.delayed import world as delayed

LENGTHS = np.array([5, 3, 7])


def episodes(seed=0, width=7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, width)), 3 * rng.normal(size=3)


@pytest.mark.parametrize(("count", "unbiased"), [(2, False), (2, True), (3, True), (6, False), (6, True)])
def test_losses_and_gradients_are_those_of_autograd(count, unbiased):
    torch = pytest.importorskip("torch")
    values, returns = episodes(count)
    drawn = lare.draw_steps(LENGTHS, count, np.random.default_rng(1))
    r, total, length = torch.tensor(values, requires_grad=True), torch.tensor(returns), torch.tensor(LENGTHS * 1.0)
    chosen = torch.gather(r, 1, torch.tensor(drawn))
    loss = ((chosen.mean(1) - total / length) ** 2).mean()
    if unbiased:
        loss = loss - (chosen.var(1) * (1 - count / length) / count).mean()
    loss.backward()
    found, gradient = lare.rrd(values, returns, LENGTHS, drawn, unbiased=unbiased)
    assert found == pytest.approx(loss.item(), rel=1e-12) and gradient == pytest.approx(r.grad.numpy(), abs=1e-14)
    r.grad = None
    there = torch.arange(7) < length[:, None]
    loss = ((((r * there).sum(1) - total) / length) ** 2).mean()
    loss.backward()
    found, gradient = lare.rd(values, returns, LENGTHS)
    assert found == pytest.approx(loss.item(), rel=1e-12) and gradient == pytest.approx(r.grad.numpy(), abs=1e-14)


def test_the_correction_is_unbiased_over_every_draw():
    values, returns = episodes(width=5)
    given = values[:1], returns[:1], [5]
    every = [np.array([c]) for c in combinations(range(5), 3)]
    plain, corrected = (np.mean([lare.rrd(*given, d, unbiased=u)[0] for d in every]) for u in (False, True))
    exact = lare.rd(*given)[0]
    assert corrected == pytest.approx(exact, rel=1e-12)
    assert plain - exact == pytest.approx(values[0].var(ddof=1) * (1 - 3 / 5) / 3, rel=1e-12)
    slopes = np.mean([lare.rrd(*given, d, unbiased=True)[1] for d in every], axis=0)
    assert slopes == pytest.approx(lare.rd(*given)[1], abs=1e-13)


def test_all_steps_drawn_is_rd():
    values, returns = episodes(width=3)
    drawn = np.tile(np.arange(3), (3, 1))
    for unbiased in (False, True):
        loss, slope = lare.rrd(values, returns, [3, 3, 3], drawn, unbiased=unbiased)
        assert loss == pytest.approx(lare.rd(values, returns, [3, 3, 3])[0])
        assert slope == pytest.approx(lare.rd(values, returns, [3, 3, 3])[1])


def test_steps_are_drawn_without_repetition_where_there_are_enough():
    rng = np.random.default_rng(0)
    drawn = np.stack([lare.draw_steps([6, 3, 9], 4, rng) for _ in range(3000)])
    assert (drawn < np.array([[6], [3], [9]])).all() and (drawn >= 0).all()
    for i in (0, 2):
        assert (np.diff(np.sort(drawn[:, i]), axis=1) > 0).all()
    for i, length in enumerate((6, 3, 9)):
        share = np.bincount(drawn[:, i].ravel(), minlength=length) / drawn[:, i].size
        assert share == pytest.approx(np.full(length, 1 / length), abs=0.012)


def test_factors_are_verified_and_errors_go_back():
    said = []

    def model(error):
        said.append(error)
        if len(said) == 1:
            return lambda x: [x[:, 99:100]]
        if len(said) == 2:
            return lambda x: [x[:, 0]]
        if len(said) == 3:
            return lambda x: [np.log(-np.abs(x[:, :1]))]
        return lambda x: [x[:, :1], -(x[:, 1:2] ** 2)]

    with np.errstate(invalid="ignore"):
        encode = lare.self_verified(model, 4)
    assert said[0] == "" and "(2, 0)" in said[1] and "factor 0 has shape (2,)" in said[2] and "not finite" in said[3]
    x = np.arange(24.0).reshape(2, 3, 4)
    assert encode(x).tolist() == np.stack([x[..., 0], -(x[..., 1] ** 2)], axis=-1).tolist()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: x[:, :1], "must return a list of factors"),
        (lambda x: [], "must return a list of factors"),
        (lambda x: [x[:, :1], "words"], "ValueError"),
    ],
)
def test_what_never_passes_is_refused_with_the_last_error(function, said):
    asked = []
    with pytest.raises(InputError, match=f"none of 3 proposals.*{said}"):
        lare.self_verified(lambda error: (asked.append(error), function)[1], 4, tries=3)
    assert len(asked) == 3 and asked[2] == asked[1] != ""


def test_ridge_finds_a_reward_that_it_can_express():
    x, earned = delayed.draw(64, np.random.default_rng(0))
    lengths = np.random.default_rng(1).integers(20, 51, 64)
    returns = np.array([row[:n].sum() for row, n in zip(earned, lengths, strict=True)])
    decode = decoders.ridge(delayed.factors(x), returns, lengths, penalty=1e-6)
    new, true = delayed.draw(5, np.random.default_rng(2))
    assert decode(delayed.factors(new)) == pytest.approx(true, abs=1e-3)
    assert decoders.agreement(decode, delayed.factors(new), true) > 0.99999
    assert decoders.agreement(lambda x: np.full(x.shape[:-1], 0.1), delayed.factors(new), true) == 0


@pytest.mark.parametrize("loss", decoders.LOSSES)
def test_a_network_learns_from_returns_and_repeats_itself(loss):
    pytest.importorskip("torch")
    x, earned = delayed.draw(32, np.random.default_rng(0), steps=20)
    fit = {"loss": loss, "steps": 150, "hidden": (16,), "lr": 1e-2}
    decode, again = (decoders.network(delayed.factors(x), earned.sum(1), **fit, seed=3) for _ in range(2))
    new, true = delayed.draw(20, np.random.default_rng(2))
    assert decoders.agreement(decode, delayed.factors(new), true) > 0.85
    assert np.array_equal(decode(delayed.factors(new)), again(delayed.factors(new)))


def test_ircr_spreads_the_scaled_return():
    found = lare.ircr([[2.0, 4.0, 3.0], [1.0, 1.0, 1.0]], 2)
    assert found.tolist() == [[[0, 0], [1, 1], [0.5, 0.5]], [[0, 0]] * 3]
    with pytest.raises(InputError, match="steps"):
        lare.ircr([1.0, 2.0], 0)


def test_the_direct_form_adds_factors_up():
    assert decoders.direct([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]]).tolist() == [-0.5, 2.0]


def test_a_team_shares_a_decoder_and_may_tell_its_agents_apart():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(200, 6, 2, 3)), np.array([1.0, -0.5, 0.3])
    lengths = rng.integers(2, 7, 200)
    true = x @ weights + np.array([0.0, 2.0])  # the second agent earns two more per step
    there = np.arange(6) < lengths[:, None]
    returns = (true * there[..., None]).sum(axis=(1, 2))
    decode = decoders.team(x, returns, lengths, penalty=1e-6)
    new = rng.normal(size=(5, 4, 2, 3))
    assert decode(new).shape == (5, 4, 2)
    assert decode(new).sum(axis=-1) == pytest.approx((new @ weights).sum(axis=-1) + 2, abs=1e-3)
    blind = decoders.team(x, returns, lengths, identity=False, penalty=1e-6)
    swapped = blind(new[..., ::-1, :])
    assert blind(new) == pytest.approx(swapped[..., ::-1])
    with pytest.raises(InputError, match=r"\[N, T, A, F\]"):
        decoders.team(x[0], returns)


def test_a_bottleneck_keeps_what_is_seen():
    pytest.importorskip("torch")
    from lab.reward_models.perceptrons import bottleneck

    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(400, 2))
    x = hidden @ rng.normal(size=(2, 6)) + 0.01 * rng.normal(size=(400, 6))
    encode, again = (bottleneck(x, latent=2, lr=1e-2, steps=300, seed=1) for _ in range(2))
    latent = encode(x)
    assert latent.shape == (400, 2) and np.array_equal(latent, again(x))
    design = np.column_stack([latent, latent**2, latent[:, :1] * latent[:, 1:], np.ones(400)])
    fit = design @ np.linalg.lstsq(design, x, rcond=None)[0]
    assert ((x - fit) ** 2).sum() < 0.1 * ((x - x.mean(0)) ** 2).sum()
    with pytest.raises(InputError, match="price"):
        bottleneck(x, price=-1.0)


def test_the_rule_by_hand():
    steps = np.array([[[1.0, 0.0], [0.0, 2.0]]])
    alone = lab.advantages.compute("lare", [[5.0, 5.0]], token_rewards=steps, form="step")
    assert alone == pytest.approx(np.array([[[1.0, -1.0], [-1.0, 1.0]]]), rel=1e-6)
    to_go = lab.advantages.compute("lare", [[5.0, 5.0]], token_rewards=steps)
    assert to_go == pytest.approx(np.array([[[-1.0, -1.0], [1.0, 1.0]]]), rel=1e-6)
    half = lab.advantages.compute("lare", [[5.0, 5.0]], token_rewards=steps, gamma=0.5)
    assert half[..., 0].tolist() == [[0.0, 0.0]]
    masked = lab.advantages.compute("lare", [[5.0, 5.0]], token_rewards=steps, mask=[[[1, 1], [1, 0]]])
    assert masked[0, :, 1].tolist() == [0, 0] and masked[0, 0, 0] == pytest.approx(1, rel=1e-6)


def test_studies_say_that_factors_help_and_that_a_bad_decoder_is_overtaken():
    study = redistribution_study(["raw", "factors"], [32, 128], seeds=4)
    mean = dict(zip(study.select("encoder", "episodes").iter_rows(), study["correlation"], strict=True))
    assert mean["factors", 32] > mean["raw", 128] > mean["raw", 32] + 0.1
    assert ((study["low"] < study["correlation"]) & (study["correlation"] < study["high"])).all()
    one = redistributed_episode(["raw", "factors"], steps=10)
    assert one["variant"].unique(maintain_order=True).to_list() == ["true", "spread evenly", "raw", "factors"]
    sums = {v: one.filter(variant=v)["reward"].sum() for v in ("true", "spread evenly", "factors")}
    assert sums["spread evenly"] == pytest.approx(sums["true"]) == pytest.approx(sums["factors"], abs=0.5)
    trace = redistribution_training(("return only", "raw", "factors"), horizon=10, seeds=3, steps=60, every=60)
    last = {v: trace.filter(variant=v, step=60)["gold"].mean() for v in ("return only", "raw", "factors")}
    assert last["raw"] < last["return only"] < last["factors"] < trace["optimum"].mean()
    same = trace.filter(variant="return only")
    assert same["value"].to_list() == pytest.approx(same["gold"].to_list())


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: lare.rd([1.0], [1.0], [1]), InputError, r"must be \[B, T\]"),
        (lambda: lare.rd([[1.0]], [1.0], [2]), InputError, r"lengths=\[2\]"),
        (lambda: lare.rrd([[1.0, 2.0]], [1.0], [1], [[1]]), InputError, "outside its episode"),
        (lambda: lare.rrd([[1.0, 2.0]], [1.0], [2], [[0.5]]), InputError, "whole numbers"),
        (lambda: lare.rrd([[1.0, 2.0]], [1.0], [2], [[0]], unbiased=True), InputError, "at least 2"),
        (lambda: decoders.ridge(np.ones((2, 3)), [1.0, 2.0]), InputError, r"\[N, T, F\]"),
        (lambda: decoders.ridge(np.full((1, 2, 3), np.nan), [1.0]), InputError, "finite"),
        (lambda: decoders.ridge(np.ones((1, 2, 3)), [1.0])(np.ones(4)), InputError, r"fitted on \[..., 3\]"),
        (lambda: decoders.network(np.ones((1, 2, 3)), [1.0], loss="rdd"), UnknownNameError, "'rrd'"),
        (lambda: redistribution_study(["factor"]), UnknownNameError, "'factors'"),
        (lambda: redistribution_study(["raw"], [4], decoder="rig"), UnknownNameError, "'ridge'"),
        (lambda: redistribution_study(["raw"], [4], seeds=1), InputError, "at least two"),
        (lambda: redistribution_training(["returns"]), UnknownNameError, "'return only'"),
        (lambda: redistributed_episode([]), InputError, "at least one"),
        (
            lambda: lab.advantages.compute("lare", [0.0, 1.0], token_rewards=np.ones((2, 3)), form="go"),
            UnknownNameError,
            "'to-go'",
        ),
    ],
)
def test_bad_input_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call()
