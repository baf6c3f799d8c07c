"""A pretrained model as a world: against a plain forward pass of its own, resumed, from every kind of file, refused."""

import copy
import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

import lab
from lab import store
from lab.cli import app
from lab.config import Config
from lab.errors import InputError
from lab.executors import Threads
from lab.experiment import replay, run
from simulators.records import World
from simulators.small_lm import hub
from simulators.small_lm.pretrained import PretrainedLM
from tests.small_lm import tiny

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SIZES = {"prompts": 3, "length": 6, "shots": 1, "problems": 30, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny.make(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return str(tiny.make(tmp_path_factory.mktemp("plain"), chat=False))


@pytest.fixture(params=[3, 0], ids=["lora", "whole"])
def world(request, folder):
    return PretrainedLM(folder, lora=request.param, **SIZES)


def moved(world, seeds):
    """A policy that has left the start, each run its own way."""
    policy = world.init(seeds)
    draw = torch.Generator().manual_seed(7)
    policy.parameters[...] += 0.1 * torch.randn(policy.parameters.shape, generator=draw)
    return policy


def test_it_is_a_world_whose_responses_are_text(world):
    assert isinstance(world, World) and not world.exact
    rollouts = world.rollout(world.init([0, 1]), 4, 0)
    assert rollouts.rewards.shape == (2, 3, 4, 3) and rollouts.logp.shape == (2, 3, 4, 6)
    assert (rollouts.logp[~rollouts.mask] == 0).all()
    response = rollouts.actions[0, 0, 0]
    assert "".join(world.pieces(response)) == world.text(response)


def test_the_prompt_is_the_models_template_around_the_task(folder, plain):
    one = PretrainedLM(folder, **SIZES)
    asked = one._tokenizer.decode([t for t in one._before[0].tolist() if t >= 0])
    example, wanted = "<think>", one.train[0].prompt
    assert asked.startswith("<|user|>Add the two") and asked.endswith(f"<|user|>{wanted}<|end|><|assistant|>")
    assert asked.count(example) == 2 and asked.count("<|assistant|>") == 2
    other = PretrainedLM(plain, **SIZES)
    text = other._tokenizer.decode([t for t in other._before[0].tolist() if t >= 0])
    assert text.endswith(f"\n{other.train[0].prompt}") and "<|" not in text
    assert other._tokenizer.decode([other.ends[1]]) == "\n" and len(one.ends) == 1


def merged(world, parameters):
    """A copy of the model in float64 with the parameters in place, and its trained tensors by the flat index."""
    model = copy.deepcopy(world.trained._model).double()
    for module in model.modules():
        module._forward_hooks.clear()
    pieces = parameters.double().clone().requires_grad_()
    weights = dict(model.named_parameters())
    at = 0
    if isinstance(world.trained, hub.Whole):
        for name, weight in list(weights.items()):
            weights[name], at = pieces[at : at + weight.numel()].view(weight.shape), at + weight.numel()
    else:
        layers = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
        for name, (a, b) in zip(layers, world.trained._shapes, strict=True):
            left, right = (pieces[o : o + s[0] * s[1]].view(s) for o, s in ((at, a), (at + a[0] * a[1], b)))
            weights[f"{name}.weight"] = weights[f"{name}.weight"] + (left @ right).T
            at += a[0] * a[1] + b[0] * b[1]
    return model, weights, pieces


def reference(world, parameters, rollouts, s):
    """Log-probabilities [P, G, T] by one whole sequence at a time: no cache, no padding, no batch."""
    model, weights, pieces = merged(world, parameters)
    rows = []
    for p, g in np.ndindex(*rollouts.actions.shape[1:3]):
        before = world._before[rollouts.prompt[s, p]]
        before = before[before >= 0]
        own = torch.from_numpy(rollouts.actions[s, p, g])[rollouts.mask[s, p, g]]
        logits = torch.func.functional_call(model, weights, (torch.cat((before, own))[None],)).logits[0]
        logp = logits[len(before) - 1 : -1].log_softmax(-1).gather(-1, own[:, None])[:, 0]
        rows.append(torch.nn.functional.pad(logp, (0, world.length - len(own))))
    return torch.stack(rows).unflatten(0, rollouts.actions.shape[1:3]), pieces


def test_probabilities_and_gradient_are_those_of_whole_sequences(world):
    policy = moved(world, [3, 4])
    rollouts = world.rollout(policy, 4, 1)
    lengths = [(row >= 0).sum() for row in world._before[rollouts.prompt.reshape(-1)]]
    assert len(set(map(int, lengths))) > 1, "some prompt should be padded"
    weights = np.random.default_rng(0).normal(size=rollouts.logp.shape) * rollouts.mask
    weights[0, 1] = 0.0
    gradient = world.gradient(policy, rollouts, weights)
    for s in range(2):
        logp, pieces = reference(world, policy.parameters[s], rollouts, s)
        assert np.abs(logp.detach().numpy() - rollouts.logp[s]).max() < 1e-4
        assert np.abs(logp.detach().numpy() - world.log_prob(policy, rollouts)[s]).max() < 1e-4
        (expected,) = torch.autograd.grad((torch.from_numpy(weights[s]) * logp).sum(), pieces)
        assert (gradient[s] - expected).norm() < 1e-4 * expected.norm()


def test_a_run_is_the_same_alone_and_among_others_and_in_whatever_passes(world, folder):
    alone, among = world.rollout(moved(world, [5]), 4, 2), None
    policy = moved(world, [5, 9])
    policy.parameters[0] = moved(world, [5]).parameters[0]
    among = world.rollout(policy, 4, 2)
    assert np.array_equal(alone.actions[0], among.actions[0]) and np.array_equal(alone.logp[0], among.logp[0])
    assert not np.array_equal(alone.actions, world.rollout(moved(world, [5]), 4, 3).actions)
    small = PretrainedLM(folder, lora=3, rows=1, **SIZES)
    if small.trained.size == world.trained.size:
        apart = small.rollout(moved(small, [5]), 4, 2)
        assert np.array_equal(alone.actions, apart.actions) and np.abs(alone.logp - apart.logp).max() < 1e-4


def test_additions_change_nothing_at_the_start(folder):
    low, whole = (PretrainedLM(folder, lora=rank, **SIZES) for rank in (3, 0))
    first, second = (w.rollout(w.init([0]), 4, 0) for w in (low, whole))
    assert np.array_equal(first.actions, second.actions) and np.abs(first.logp - second.logp).max() < 1e-5


@pytest.mark.parametrize("variant", ["grpo", "gdpo", "remax", "grpo-kl"])
def test_variants_train_and_measure_what_needs_no_truth(folder, variant):
    world = PretrainedLM(folder, "sorting", **SIZES)
    trace = lab.train(world, variant, steps=2, seeds=2, group_size=4, lr=1e-2, optimizer="adam", measure="full")
    assert trace.frame["grad_norm"].is_finite().all() and (trace.frame["entropy"] > 0).all()
    assert not {"value", "sign_flip"} & set(trace.frame.columns)


def test_reinforcing_what_it_says_makes_it_likelier(folder):
    world = PretrainedLM(folder, **SIZES)
    policy = world.init([0])
    rollouts = world.rollout(policy, 4, 0)
    before = world.log_prob(policy, rollouts).sum()
    for _ in range(5):
        policy.parameters[...] += 0.001 * world.gradient(policy, rollouts, np.ones_like(rollouts.logp))
    assert world.log_prob(policy, rollouts).sum() > before + 1
    assert world.kl(policy, world.init([0])).shape == (1,)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(folder, tmp_path):
    options = {"model": folder, "prompts": 2, "length": 5, "shots": 1, "device": "cpu"}
    config = Config(world={"name": "small-lm", "options": options}, variants=["grpo"], seeds=2, steps=6, chunk=2,
                    optimizer="adam", lr=1e-2, group_size=4)  # fmt: skip
    whole = run(config, "whole", runs=tmp_path, executor=Threads(1))
    asked = iter([False, False])
    run(config, "cut", runs=tmp_path, executor=Threads(1), stop=lambda: next(asked, True))
    resumed = run(config, "cut", runs=tmp_path, resume=True, executor=Threads(1))
    assert resumed.complete
    read = [{p.name: p.read_bytes() for p in r.path.glob("*.parquet")} for r in (whole, resumed)]
    assert read[0] == read[1] and read[0]


def test_it_runs_by_name_from_the_shell(folder, tmp_path):
    sizes = ["--set", "prompts=1", "--group-size", "2", "--seeds", "1", "--steps", "1", "--set", "device=cpu"]
    given = ["--set", f"model={folder}", "--set", "lora=2", "--set", "task=tools"]
    place = ["--runs", str(tmp_path), "--name", "shell"]
    done = CliRunner().invoke(app, ["run", "--world", "small-lm", *given, *sizes, *place])
    assert done.exit_code == 0, done.output
    told = store.find("shell", tmp_path)
    assert told.config.optimizer == "adam" and told.config.world.options["lora"] == 2
    assert told.rollouts["text"].dtype == pl.String


def test_threads_do_not_disturb_one_another(folder):
    world = PretrainedLM(folder, **SIZES)
    given = {"steps": 3, "seeds": 3, "group_size": 4, "lr": 1e-2, "optimizer": "adam"}
    one, three = (lab.train(world, ["grpo", "dr_grpo"], threads=n, **given).frame for n in (1, 3))
    assert one.equals(three)


def test_held_out_problems_are_answered(folder):
    world = PretrainedLM(folder, **SIZES)
    found = world.evaluate(world.init([0, 1]), samples=2, problems=3)
    assert set(found) == {"greedy", "sampled", "pass"} and found["pass"].shape == (2,)
    seen = replay(world, "grpo", seed=1, step=1, group_size=4, lr=1e-2)
    assert seen.truth is None and seen.frame.height == 12


def test_a_gguf_file_is_the_same_model(folder, tmp_path):
    path = tiny.as_gguf(Path(folder), tmp_path / "tiny.gguf")
    theirs, ours = (lab.world("small-lm", model=str(m), prompts=2, length=6, device="cpu", lora=2)
                    for m in (path, folder))  # fmt: skip
    assert torch.equal(theirs._before, ours._before) and theirs.ends == ours.ends
    first, second = (w.rollout(w.init([0]), 4, 0) for w in (theirs, ours))
    assert np.array_equal(first.actions, second.actions) and np.abs(first.logp - second.logp).max() < 1e-5
    assert "GGUF" not in repr(lab.world("small-lm", model=str(tmp_path), prompts=2, length=6, device="cpu"))


@pytest.fixture
def spoiled(folder, tmp_path):
    """A copy of the model for one test to damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_pickled_weights_are_not_read(spoiled):
    weights = next(spoiled.glob("*.safetensors"))
    weights.rename(spoiled / "pytorch_model.bin")
    with pytest.raises(InputError, match="unpickled"):
        lab.world("small-lm", model=str(spoiled))


def test_code_that_comes_with_a_model_is_not_run(spoiled):
    config = json.loads((spoiled / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine", "AutoModelForCausalLM": "code.Mine"}}
    (spoiled / "config.json").write_text(json.dumps(config))
    (spoiled / "code.py").write_text(f"open({str(spoiled / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="cannot be read"):
        lab.world("small-lm", model=str(spoiled))
    assert not (spoiled / "ran").exists()


@pytest.mark.parametrize("damage", ["tokenizer.json", "model.safetensors", "config.json"])
def test_a_damaged_file_is_named_with_its_model(spoiled, damage):
    (spoiled / damage).write_bytes(b"{damaged")
    with pytest.raises(InputError, match=r"copy' cannot be read: .+"):
        lab.world("small-lm", model=str(spoiled))


def test_a_name_that_is_nowhere_says_how_to_get_it(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"could not be fetched.*hf download nobody/nothing --local-dir"):
        lab.world("small-lm", model="nobody/nothing")


@pytest.mark.parametrize(
    ("name", "words"),
    [("./nowhere", "no such file"), ("a/b/c.gguf", "no such file"), ("{folder}/config.json", "folder or a .gguf"),
     ("{empty}", "neither config.json nor"), ("{two}", "name one")],
)  # fmt: skip
def test_what_is_no_model_is_named(folder, tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "two").mkdir()
    for file in ("a.gguf", "b.gguf"):
        (tmp_path / "two" / file).write_bytes(b"")
    name = name.format(folder=folder, empty=tmp_path / "empty", two=tmp_path / "two")
    with pytest.raises(InputError, match=words):
        lab.world("small-lm", model=name)


def test_missing_packages_are_named_with_the_extra(monkeypatch, folder, tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"")
    for package, model in (("transformers", folder), ("accelerate", folder), ("gguf", str(tmp_path / "a.gguf"))):
        with monkeypatch.context() as patch:
            patch.setattr(hub, "find_spec", lambda name, package=package: None if name == package else True)
            with pytest.raises(InputError, match=rf"{package}.*advantage-lab\[hf\]"):
                lab.world("small-lm", model=model)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"lora": -1}, "lora"), ({"shots": -1}, "shots"), ({"length": 9999}, "fit"), ({"task": "sums"}, "task"),
     ({"device": "abacus"}, "cpu")],
)  # fmt: skip
def test_bad_settings_are_refused(folder, wrong, words):
    with pytest.raises(InputError, match=words):
        lab.world("small-lm", model=folder, **wrong)


@pytest.mark.slow
@pytest.mark.skipif("ADVLAB_MODEL" not in os.environ, reason="ADVLAB_MODEL names no pretrained model (folder or .gguf)")
def test_a_real_model_learns_the_form_in_a_few_steps():
    world = PretrainedLM(os.environ["ADVLAB_MODEL"], "tools", prompts=2, device="auto")
    trace = lab.train(world, "grpo", steps=4, seeds=[0], group_size=8, lr=1e-3, optimizer="adam")
    assert trace.frame["reward"].is_finite().all() and trace.frame["grad_norm"].max() > 0
    policy = dataclasses.replace(world.init([0]), parameters=torch.as_tensor(trace.parameters("grpo")))
    rollouts = world.rollout(policy, 8, 4)
    assert "<" in world.text(rollouts.actions[0, 0, 0])
    assert world.kl(policy, world.init([0]))[0] != 0
