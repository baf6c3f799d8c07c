"""The torch world: against the tabular one, with and without cache, one run as among others, never a look ahead."""

import dataclasses
import re

import numpy as np
import pytest
import torch

import lab
import simulators
from lab.config import Config
from lab.errors import InputError, MissingFieldError
from lab.executors import Threads
from lab.experiment import replay, run
from simulators import ToyLM
from simulators.records import World
from simulators.small_lm.model import Cache, Shape, Transformer
from simulators.small_lm.pretrain import imitate
from simulators.small_lm.world import SmallLM
from simulators.weights import cached

SIZES = {"prompts": 3, "layers": 2, "width": 16, "heads": 2, "accuracy": 0.0, "problems": 40, "device": "cpu"}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(params=["arithmetic", "countdown", "brackets", "tools"])
def world(request):
    return SmallLM(request.param, **SIZES)


def in_double(policy):
    return dataclasses.replace(policy, parameters=policy.parameters.double())


def test_it_is_a_world(world):
    assert isinstance(world, World) and not world.exact
    rollouts = world.rollout(world.init([0, 1]), 4, 0)
    assert rollouts.rewards.shape == (2, 3, 4, 3) and rollouts.prompt.shape == (2, 3)
    assert rollouts.actions.shape == rollouts.logp.shape == rollouts.mask.shape == (2, 3, 4, world.length)
    assert (rollouts.logp[~rollouts.mask] == 0).all() and (rollouts.actions[~rollouts.mask] == 0).all()
    response = rollouts.actions[0, 0, 0]
    assert "".join(world.pieces(response)) == world.text(response)


def test_log_probabilities_with_and_without_cache_agree(world):
    policy = in_double(world.init([3, 4]))
    rollouts = world.rollout(policy, 5, 7)
    assert np.abs(world.log_prob(policy, rollouts) - rollouts.logp).max() < 1e-12


def test_a_run_is_the_same_alone_and_among_others(world):
    alone, among = (world.rollout(in_double(world.init(seeds)), 4, 2) for seeds in ([5], [9, 5]))
    assert np.array_equal(alone.actions[0], among.actions[1]) and np.array_equal(alone.prompt[0], among.prompt[1])
    again = world.rollout(in_double(world.init([5])), 4, 2)
    assert np.array_equal(alone.logp, again.logp)
    assert not np.array_equal(alone.actions, world.rollout(in_double(world.init([5])), 4, 3).actions)


def test_the_gradient_is_that_of_the_weighted_log_probability(world):
    policy = in_double(world.init([1]))
    rollouts = world.rollout(policy, 2, 0)
    weights = np.random.default_rng(0).normal(size=rollouts.logp.shape)
    gradient = world.gradient(policy, rollouts, weights).numpy()[0]
    direction = np.random.default_rng(1).normal(size=gradient.shape)
    values = []
    for step in (1e-6, -1e-6):
        moved = dataclasses.replace(policy, parameters=policy.parameters + step * torch.from_numpy(direction))
        values.append((weights * world.log_prob(moved, rollouts)).sum())
    assert gradient @ direction == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


def test_what_comes_later_changes_nothing_before_it():
    model = Transformer(Shape(7, 2, 16, 2), 9)
    weights = model.split(model.initial(0)[None].double())
    tokens = torch.randint(7, (1, 4, 9), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[..., 5:] = (changed[..., 5:] + 1) % 7
    a, b = (model.logits(weights, model.states(weights, t)) for t in (tokens, changed))
    assert torch.equal(a[:, :, :5], b[:, :, :5]) and not torch.equal(a[:, :, 5:], b[:, :, 5:])


def test_padding_in_front_moves_nothing_and_a_cache_of_two_parts_neither():
    model = Transformer(Shape(7, 2, 16, 2), 12)
    weights = model.split(model.initial(0)[None].double())
    tokens = torch.randint(7, (1, 2, 6), generator=torch.Generator().manual_seed(1))
    plain = model.states(weights, tokens)
    padded = torch.nn.functional.pad(tokens, (3, 0), value=1)
    real = torch.arange(9).expand(1, 2, 9) >= 3
    unseen = model.unseen(real)
    assert torch.allclose(model.states(weights, padded, unseen)[:, :, 3:], plain, atol=1e-12)
    for cache in (Cache(2, 9), Cache(2)):
        first = model.states(weights, padded[..., :5], unseen, cache)[:, :, 3:]
        second = model.states(weights, padded[..., 5:], unseen, cache)
        assert torch.allclose(torch.cat((first, second), 2), plain, atol=1e-12)


def test_generation_and_gradient_never_wait_for_the_device():
    """Tensors without values, of which nothing can be read: not a number comes back before all is done."""
    world = SmallLM("brackets", **SIZES)
    world.model = Transformer(world.shape, world.model.length, "meta")
    parameters, before = (
        t.to("meta") for t in (world.init([0, 1]).parameters, world._before[None, :3].repeat(2, 1, 1))
    )
    world._padded = True
    draws = torch.empty(2, 3, 4, world.length, device="meta", dtype=torch.float64)
    with torch.inference_mode():
        for given, size in ((draws, 4), (None, 1)):
            assert [p.shape for p in world._decoded(parameters, before, given)] == [(2, 3, size, world.length)] * 3
    leaf = parameters.detach().requires_grad_()
    logp = world._continued(leaf, before, torch.empty(2, 3, 4, world.length, device="meta", dtype=torch.int64))
    (gradient,) = torch.autograd.grad((logp * torch.empty_like(logp)).sum(), leaf)
    assert gradient.shape == parameters.shape and gradient.is_meta


def test_in_bfloat16_products_are_rougher_and_all_else_is_not(world):
    rough = SmallLM(world.task.name, **SIZES, precision="bfloat16")
    policy = world.init([0])
    assert torch.equal(rough.init([0]).parameters, policy.parameters)
    rollouts = rough.rollout(policy, 4, 0)
    exact, near = world.log_prob(policy, rollouts), rough.log_prob(policy, rollouts)
    assert 0 < np.abs(exact - near).max() < 0.1 and np.abs(near - rollouts.logp).max() < 0.1
    weights = np.random.default_rng(0).normal(size=rollouts.logp.shape)
    a, b = (w.gradient(policy, rollouts, weights) for w in (world, rough))
    assert b.dtype == torch.float32 and float(torch.cosine_similarity(a[0], b[0], dim=0)) > 0.99
    moved = lab.train(rough, "grpo", steps=2, seeds=1, group_size=4, lr=1e-3, optimizer="adam")
    assert moved.parameters().dtype == np.float32 and moved.frame["grad_norm"].is_finite().all()


def test_it_agrees_with_the_tabular_world():
    """The tabular policy as a torch table behind the same door: same rollouts, same weights, same gradient."""
    toy = ToyLM("arithmetic", prompts=2, vocabulary=6, length=5)

    class Table(SmallLM):
        def token_logp(self, parameters, rollouts):
            actions = torch.from_numpy(rollouts.actions)
            before = torch.nn.functional.pad(actions[..., :-1], (1, 0))
            s, p, _, t = (torch.arange(n).reshape([-1 if i == axis else 1 for i in range(4)])
                          for axis, n in enumerate(actions.shape))  # fmt: skip
            logp = parameters[s, p, t, before].log_softmax(-1).gather(-1, actions[..., None])[..., 0]
            return torch.where(torch.from_numpy(rollouts.mask), logp, 0.0)

    tabular = toy.init([0, 1])
    tabular.parameters[...] += np.random.default_rng(0).normal(size=tabular.parameters.shape)
    rollouts = toy.rollout(tabular, 6, 0)
    weights = np.random.default_rng(1).normal(size=rollouts.logp.shape) * rollouts.mask
    table = Table("arithmetic", **SIZES)
    policy = dataclasses.replace(tabular, parameters=torch.from_numpy(tabular.parameters))
    assert np.abs(table.log_prob(policy, rollouts) - rollouts.logp).max() < 1e-12
    gradient = table.gradient(policy, rollouts, weights).numpy()
    assert np.abs(gradient - toy.gradient(tabular, rollouts, weights)).max() < 1e-12


@pytest.mark.parametrize("variant", lab.variants()["name"])
def test_every_variant_whose_inputs_a_language_model_has_runs_by_name(variant):
    world = SmallLM(prompts=4, layers=1, width=8, heads=1, accuracy=0.0, problems=40, device="cpu")
    given = {"steps": 2, "seeds": 1, "group_size": 4, "lr": 1e-3, "measure": ["grad_norm"], "threads": 1}
    try:
        trace = lab.train(world, variant, **given)
    except MissingFieldError as said:
        lacking = re.split(" reads | gradient of ", str(said))[1].partition(";")[0].split(", ")
        assert lacking and set(lacking).isdisjoint(world.provides), said
    except InputError as said:
        assert ("edge" if variant.startswith("graph-grpo") else "each category has two") in str(said)
    else:
        assert trace.frame.height == 2 and trace.frame["grad_norm"].is_finite().all()


def test_the_state_and_the_error_that_a_rule_reads_are_the_models(world):
    policy = in_double(world.init([0, 1]))
    rollouts = world.rollout(policy, 3, 0, fields=("hidden", "prediction_error"))
    hidden, error = rollouts.hidden, rollouts.prediction_error
    assert hidden.shape == (*rollouts.actions.shape, 16) and error.shape == (*rollouts.actions.shape, len(world.tokens))
    assert (hidden[~rollouts.mask] == 0).all() and np.abs(error.sum(-1)).max() < 1e-12
    told = np.take_along_axis(error, rollouts.actions[..., None], -1)[..., 0]  # 1 - p of the token itself
    assert np.allclose(np.log1p(-told[rollouts.mask]), rollouts.logp[rollouts.mask], atol=1e-10)
    table = world.model.split(policy.parameters).embedding.unflatten(0, (2, -1)).numpy()
    logits = np.einsum("spgtd,svd->spgtv", hidden, table)
    shifted = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    own = np.take_along_axis(shifted, rollouts.actions[..., None], -1)[..., 0]
    assert np.allclose(own[rollouts.mask], rollouts.logp[rollouts.mask], atol=1e-10)
    assert simulators.providers("hidden") == ["hidden-lm", "small-lm"]


@pytest.mark.parametrize("variant", ["grpo", "gdpo", "mc-grpo", "dapo", "remax", "grpo-kl", "gspo"])
def test_variants_train_and_measure_what_needs_no_truth(variant):
    trace = lab.train(SmallLM(**SIZES), variant, steps=3, seeds=2, group_size=4, lr=1e-3, optimizer="adam",
                      measure="full", epochs=2)  # fmt: skip
    assert {"reward", "grad_norm", "entropy", "kl_start"} <= set(trace.frame.columns)
    assert not {"value", "sign_flip", "cosine"} & set(trace.frame.columns)
    assert trace.frame["grad_norm"].is_finite().all() and (trace.frame["entropy"] > 0).all()


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    sizes = {k: v for k, v in SIZES.items() if k != "problems"}
    config = Config(world={"name": "small-lm", "options": sizes}, variants=["grpo"], seeds=2, steps=6, chunk=2,
                    optimizer="adam", lr=1e-3, group_size=4)  # fmt: skip
    whole = run(config, "whole", runs=tmp_path, executor=Threads(1))
    asked = iter([False, False])
    run(config, "cut", runs=tmp_path, executor=Threads(1), stop=lambda: next(asked, True))
    resumed = run(config, "cut", runs=tmp_path, resume=True, executor=Threads(1))
    assert resumed.complete
    read = [{p.name: p.read_bytes() for p in r.path.glob("*.parquet")} for r in (whole, resumed)]
    assert read[0] == read[1] and read[0]


def test_one_step_is_computed_again():
    seen = replay(SmallLM(**SIZES), "grpo", seed=1, step=2, group_size=4, lr=1e-3, optimizer="adam")
    assert seen.truth is None and seen.frame["true_advantage"].is_null().all()
    assert seen.prompt_norm.shape == (3,) and seen.frame.height == 12


def test_pretraining_reaches_what_was_asked_for_and_is_kept(tmp_path, monkeypatch):
    made = []

    def make():
        made.append(1)
        return np.zeros(3)

    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))
    assert np.array_equal(cached("room", {"a": 1}, make), cached("room", {"a": 1}, make)) and len(made) == 1
    file = next((tmp_path / "room").rglob("*.npz"))
    whole = file.read_bytes()
    flipped = bytes([*whole[:-60], whole[-60] ^ 1, *whole[-59:]])
    for number, damaged in enumerate((b"", b"damaged", whole[:-9], flipped), 2):
        file.write_bytes(damaged)
        with pytest.warns(UserWarning, match="is damaged .* and is made anew"):
            cached("room", {"a": 1}, make)
        assert len(made) == number
    target = torch.tensor([[1.0, -2.0]])
    found = imitate(torch.zeros(1, 2), lambda w, _: (w - target).square().sum(),
                    lambda w: float(((w - target).abs() < 0.1).all()), examples=1, wanted=1.0, lr=0.03)  # fmt: skip
    assert ((found - target).abs() < 0.1).all()


@pytest.mark.slow
def test_the_pretrained_model_answers_as_often_as_asked_and_learns_more():
    world = SmallLM(prompts=32, accuracy=0.3, device="cpu")
    before = world.evaluate(world.init([0]), samples=16)
    assert 0.1 < before["sampled"][0] < 0.5 and before["pass"][0] > before["sampled"][0]
    trace = lab.train(world, "grpo", steps=150, seeds=[0], lr=3e-4, optimizer="adam", reward_weights=[1, 0.5, 0])
    policy = dataclasses.replace(world.init([0]), parameters=torch.as_tensor(trace.parameters("grpo")))
    assert world.evaluate(policy, samples=16)["sampled"][0] > before["sampled"][0] + 0.03
    reward = trace.frame["reward"].to_numpy()
    assert reward[-30:].mean() > reward[:30].mean() + 0.05


def test_entropy_and_kl_answer_for_the_weights_as_they_are():
    """Equal logits: each of V tokens is as likely, so a token has the entropy log V, and KL is that to uniform."""
    world = SmallLM(**SIZES)
    policy, start, zero = (world.init([0, 1]) for _ in range(3))
    before = world.entropy(policy)
    assert np.array_equal(world.kl(policy, start), [0, 0])
    policy.parameters[...] = 0
    zero.parameters[...] = 0
    world.rollout(zero, 8, 0)
    assert np.array_equal(world.entropy(policy), world.entropy(zero))
    assert not np.allclose(world.entropy(policy), before)
    mask = policy.memo["rollouts"].mask
    assert world.entropy(policy) == pytest.approx(mask.sum(-1).mean((1, 2)) * np.log(len(world.tokens)))
    assert np.array_equal(world.kl(policy, zero), [0, 0]) and (world.kl(policy, start) > 0).all()


def test_bad_input_is_refused():
    for wrong, words in (({"device": "cuda:97"}, "auto"), ({"device": "abacus"}, "cpu"), ({"accuracy": 2}, "from 0"),
                         ({"width": 15}, "even"), ({"task": "sums"}, "task"), ({"prompts": 0}, "prompts"),
                         ({"precision": "half"}, "bfloat16")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            lab.world("small-lm", **wrong)
    world = SmallLM(**SIZES)
    with pytest.raises(ValueError, match="field"):
        world.rollout(world.init([0]), 2, 0, fields=("turn",))
    with pytest.raises(NotImplementedError, match="world 'small-lm' has no method 'truth'"):
        world.truth(world.init([0]), world.rollout(world.init([0]), 2, 0))
