"""A small language model as a world: a torch transformer, verifiable text tasks, gradients by autograd.

The policy is the transformer of `simulators.small_lm.model`, pretrained on the task's own solutions to a chosen
accuracy. Its gradient is that of Σ w log π with the weights w held fixed. Values are not known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from simulators.devices import device_of
from simulators.errors import check_count, check_room
from simulators.random import DRAWS, uniforms
from simulators.records import Floats, Policy, Rollouts, World
from simulators.runs import asked, seeded
from simulators.small_lm.model import Cache, Shape, Transformer, Weights
from simulators.small_lm.pretrain import imitate
from simulators.small_lm.tasks import COMPONENTS, END, TAGS, Problem, score, shown, task
from simulators.weights import cached

__all__ = ["SmallLM"]

_PAD, _PROBLEM = " ", DRAWS - 2  # the draw that picks a slot's problem
_BATCHES, _REFERENCE = 8, 1 << 32  # of the reference's rollouts, and their first attempt
_VERSION = 3  # of the weights: changed whenever pretraining gives others


class SmallLM(World):
    """A pretrained transformer on one text task.

    Args:
        task: name of a task (`simulators.small_lm.tasks.TASKS`).
        prompts: prompts P of a step, drawn from the training problems anew at each step.
        length: most tokens of a response T, the end token included; 0: as many as the longest worked solution.
        layers: blocks of the transformer.
        width: its width d.
        heads: its attention heads.
        accuracy: sampled accuracy at which pretraining stops.
        problems: number of problems, a fifth of which are held out.
        seed: draws problems, initial weights and the batches of pretraining.
        device: "cpu", "cuda", "cuda:1" or "auto" (a GPU where there is one).
        precision: "float32", or "bfloat16" for the matrix products, which a GPU does faster; weights and their gradient
            stay float32.

    Attributes:
        train: problems of the steps; `test`: held-out ones.
        components: names of the reward components [K].
        together: runs that share one batch.
        ends: numbers of the tokens that end a response.

    Raises:
        ValueError: an unknown task or device, sizes that do not fit.
    """

    name = "small-lm"
    provides: tuple[str, ...] = ("mask", "greedy_rewards", "hidden", "prediction_error")
    components: tuple[str, ...] = COMPONENTS
    together = 4
    fresh = True
    ends: tuple[int, ...] = (0,)

    def __init__(
        self, task: str = "arithmetic", *, prompts: int = 8, length: int = 0, layers: int = 2, width: int = 32,
        heads: int = 2, accuracy: float = 0.3, problems: int = 2000, seed: int = 0, device: str = "auto",
        precision: str = "float32",
    ) -> None:  # fmt: skip
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy={accuracy}; it must be from 0 to 1")
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f'precision={precision!r}; it is "float32" or "bfloat16"')
        self.prompts, self.device = check_count("prompts", prompts, least=1), device_of(device)
        torch.set_num_threads(1)  # runs are the parallel work, and numbers do not depend on the cores
        check_room(64 * check_count("problems", problems, least=10), problems=problems)
        self._problems(task, problems, seed)
        needed = max(len(p.solution) for p in self.train) + 1
        self.length = check_count("length", length or needed, least=1)
        self.shape = Shape(len(self.tokens), layers, width, heads)
        self.model = Transformer(self.shape, self._before.shape[1] + max(self.length, needed), self.device)
        facts = {"version": _VERSION, "task": task, "problems": problems, "accuracy": accuracy, "seed": seed}
        start = cached("small-lm", facts | asdict(self.shape), lambda: self._pretrained(accuracy, seed).numpy())
        self._start = torch.from_numpy(start).to(self.device)
        self.model.kind = torch.bfloat16 if precision == "bfloat16" else None  # from the same start in both

    def __repr__(self) -> str:
        return f"SmallLM({self.task.name}, prompts={self.prompts}, parameters={self.model.size}, {self.device})"

    def _problems(self, name: str, number: int, seed: int) -> None:
        self.task = task(name)
        every = self.task.problems(number, seed)
        held = max(len(every) // 5, 1)
        self.train, self.test = every[held:], every[:held]
        text = "".join(p.prompt + p.solution for p in every)
        self.tokens = (END, _PAD, *TAGS, *sorted(set(text) - {END, _PAD, *TAGS}))
        self._number = {token: i for i, token in enumerate(self.tokens)}
        before = [self._coded([p.prompt for p in some]) for some in (self.train, self.test)]
        self._padded = any((b == self._number[_PAD]).any() for b in before)
        self._before, self._before_test = (torch.from_numpy(b).to(self.device) for b in before)

    def _coded(self, texts: Sequence[str], *, right: int = 0) -> NDArray[np.int64]:
        """Token numbers [n, L]: padded in front to the longest, or with end tokens behind to length `right`."""
        longest = max(map(len, texts))
        rows = [t.ljust(right, END) if right else t.rjust(longest, _PAD) for t in texts]
        return np.array([[self._number[c] for c in row] for row in rows], dtype=np.int64)

    def text(self, tokens: Sequence[int] | NDArray[Any]) -> str:
        """A response as text up to its end token, tags written out."""
        return shown("".join(self.tokens[int(t)] for t in tokens).partition(END)[0])

    def problem(self, prompt: int) -> tuple[str, str]:
        """The question and a right answer of a training problem."""
        return self.train[prompt].prompt, self.train[prompt].answer

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """What each token of a response adds to its text, tags written out and "" for what ends it."""
        return ["" if t in self.ends else shown(self.tokens[t]) for t in map(int, tokens)]

    def init(self, seeds: Sequence[int] | NDArray[Any]) -> Policy:
        """The pretrained weights [S, N] for S seeds: a tensor on the world's device."""
        keys = seeded(seeds)
        return Policy(self._start.repeat(len(keys), 1), keys)

    def rollout(
        self, policy: Policy, group_size: int, step: int, *, attempt: int = 0, fields: Sequence[str] = ()
    ) -> Rollouts:
        """Sample G responses to each of P problems drawn for this step; `prompt` [S, P] says which of `train`.

        Args:
            policy: Weights and seeds of the runs.
            group_size: G.
            step: This and `attempt` tell the draws.
            attempt: Number of the draw, for a step that samples again.
            fields: "greedy_rewards"; "hidden", the state in front of the unembedding, and "prediction_error", one-hot
                minus probabilities, both 0 behind the end token.

        Raises:
            ValueError: G < 1, a negative counter, or a field that this world does not provide.
        """
        groups, step, attempt = asked(self, policy, group_size, step, attempt, fields, each=8 * self.length)
        counters = {"step": step, "attempt": attempt}
        chosen = uniforms(policy.seeds[:, None], **counters, prompt=np.arange(self.prompts), draw=_PROBLEM)
        prompt = (chosen * len(self.train)).astype(np.int64)
        rollouts, entropy = self._answered(policy, prompt, groups, **counters)
        before = self._before[self._sent(prompt)]
        further: dict[str, Any] = {}
        if "greedy_rewards" in fields:
            likely, _, _ = self._generate(policy.parameters, before, None)
            further["greedy_rewards"] = self._scored(likely, self._asked_for(prompt))[:, :, 0]
        if not {"hidden", "prediction_error"}.isdisjoint(fields):
            further |= self._inside(policy.parameters, before, rollouts, fields)
        rollouts = replace(rollouts, **further)
        policy.memo.update(rollouts=rollouts, entropy=entropy, moves=policy.parameters._version)
        return rollouts

    def _answered(
        self, policy: Policy, prompt: NDArray[np.int64], groups: int, **counters: int
    ) -> tuple[Rollouts, Floats]:
        """G responses to each of the problems [S, P], and the entropy of a response [S]."""
        draws = uniforms(
            policy.seeds[:, None, None, None], **counters, prompt=np.arange(prompt.shape[1])[:, None, None],
            rollout=np.arange(groups)[:, None], draw=np.arange(self.length),
        )  # fmt: skip
        before = self._before[self._sent(prompt)]
        actions, logp, entropy = self._generate(policy.parameters, before, self._sent(draws))
        mask = _mask(actions, self.ends)
        rewards = self._scored(actions, self._asked_for(prompt))
        rollouts = Rollouts(rewards, actions, np.where(mask, logp, 0.0), mask, prompt)
        return rollouts, (entropy * mask).sum(-1).mean((1, 2))

    def _asked_for(self, prompt: NDArray[np.int64]) -> list[list[Problem]]:
        return [[self.train[i] for i in row] for row in prompt]

    @torch.inference_mode()
    def _generate(self, parameters: Tensor, before: Tensor, draws: Tensor | None) -> tuple[Any, Any, Any]:
        """Tokens, their log-probabilities and the entropy of each choice [S, P, G, T]; the likeliest without draws."""
        actions, chosen, entropy = (part.cpu().numpy() for part in self._decoded(parameters, before, draws))
        return np.where(_mask(actions, self.ends), actions, self.ends[0]), chosen, entropy

    def _decoded(self, parameters: Tensor, before: Tensor, draws: Tensor | None) -> list[Tensor]:
        """What `_generate` gives, on the device; nothing in here waits for it."""
        groups = 1 if draws is None else draws.shape[2]
        weights, padded = self.model.split(parameters), self._unseen(before)
        draws = None if draws is None else draws.to(parameters.dtype)
        cache = Cache(self.shape.layers, before.shape[2] + self.length)
        logits = self.model.logits(weights, self.model.states(weights, before, padded, cache, last=1))
        logits = logits.repeat_interleave(groups, dim=1)
        cache = cache.repeated(groups)
        padded = None if padded is None else self._unseen(before.repeat_interleave(groups, dim=1))
        tokens: list[Tensor] = []
        told: list[Tensor] = []
        for t in range(self.length):
            if t:
                states = self.model.states(weights, tokens[-1][..., None], padded, cache)
                logits = self.model.logits(weights, states)
            told.append(logits)
            tokens.append(logits[:, :, 0].argmax(-1) if draws is None else _picked(logits[:, :, 0], draws[..., t]))
        logp = torch.cat(told, dim=2).double().log_softmax(-1)
        actions = torch.stack(tokens, dim=2)
        chosen, entropy = logp.gather(-1, actions[..., None])[..., 0], -(logp.exp() * logp).sum(-1)
        return [part.unflatten(1, (-1, groups)) for part in (actions, chosen, entropy)]

    def _unseen(self, before: Tensor) -> Tensor | None:
        """Padding of the questions [S, B, L], with room for the responses, as the model takes it; None for none."""
        if not self._padded:
            return None
        return self.model.unseen(F.pad(before != self._number[_PAD], (0, self.length), value=True))

    def _scored(self, actions: NDArray[np.int64], problems: Sequence[Sequence[Any]]) -> Floats:
        """Reward components [S, P, G, K]."""
        length = actions.shape[-1]
        texts = np.array(self.tokens)[actions].view(f"U{length}")[..., 0]  # a token is one character
        rewards = np.zeros((*texts.shape, len(COMPONENTS)))
        for (s, p, g), written in np.ndenumerate(texts):
            text, end, _ = written.partition(END)
            if end:
                problem = problems[s][p]
                near = 1 - abs(len(text) - len(problem.solution)) / length
                rewards[s, p, g] = (*score(self.task, problem, text), max(near, 0.0))
        return rewards

    def token_logp(self, parameters: Tensor, rollouts: Rollouts) -> Tensor:
        """Log-probability of every token [S, P, G, T], differentiable; 0 behind the end token."""
        assert rollouts.prompt is not None and rollouts.mask is not None
        before = self._before[self._sent(rollouts.prompt)]
        logp = self._continued(parameters, before, self._sent(rollouts.actions))
        return torch.where(self._sent(rollouts.mask), logp, 0.0)

    def _sent(self, array: NDArray[Any]) -> Tensor:
        """An array on the world's device; to a GPU from pinned memory, so that nothing waits for it."""
        given = torch.from_numpy(np.ascontiguousarray(array))
        return given.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else given

    def _continued(self, parameters: Tensor, before: Tensor, actions: Tensor) -> Tensor:
        """Log-probability of each token of the responses [S, P, G, T] to the questions [S, P, L]."""
        weights, rows = self.model.split(parameters), actions.flatten(1, 2)
        logp = self.model.logits(weights, self._behind(weights, before, actions)).log_softmax(-1)
        return logp.gather(-1, rows[..., None])[..., 0].unflatten(1, actions.shape[1:3])

    def _behind(self, weights: Weights, before: Tensor, actions: Tensor) -> Tensor:
        """State in front of each token of the responses [S, P · G, T, d]; a question is read once for its group."""
        groups, cache = actions.shape[2], Cache(self.shape.layers)
        states = self.model.states(weights, before, self._unseen(before), cache, last=1)
        states = states.repeat_interleave(groups, dim=1)
        if actions.shape[3] == 1:
            return states
        unseen, read = self._unseen(before.repeat_interleave(groups, dim=1)), actions.flatten(1, 2)[..., :-1]
        return torch.cat((states, self.model.states(weights, read, unseen, cache.repeated(groups))), dim=2)

    @torch.inference_mode()
    def _inside(
        self, parameters: Tensor, before: Tensor, rollouts: Rollouts, fields: Sequence[str]
    ) -> dict[str, Floats]:
        """Those of the fields hidden [S, P, G, T, d] and prediction_error [S, P, G, T, V] that are asked for."""
        assert rollouts.mask is not None
        weights, tokens = self.model.split(parameters), self._sent(rollouts.actions)
        states = self._behind(weights, before, tokens)
        p = self.model.logits(weights, states).double().softmax(-1)
        found = {
            "hidden": states * weights.gain,
            "prediction_error": F.one_hot(tokens.flatten(1, 2), len(self.tokens)) - p,
        }
        return {
            name: rollouts.mask[..., None] * part.double().unflatten(1, tokens.shape[1:3]).cpu().numpy()
            for name, part in found.items() if name in fields
        }  # fmt: skip

    @torch.no_grad()
    def log_prob(self, policy: Policy, rollouts: Rollouts) -> Floats:
        """Log-probability of each token under `policy` [S, P, G, T], nats."""
        return self.token_logp(policy.parameters, rollouts).double().cpu().numpy()

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Tensor:
        """Σ w ∇log π by autograd, the weights [S, P, G, T] held fixed: a tensor [S, N]."""
        parameters = policy.parameters.detach().requires_grad_()
        w = self._sent(weights).to(parameters.dtype)
        (found,) = torch.autograd.grad((w * self.token_logp(parameters, rollouts)).sum(), parameters)
        return found

    def reference(
        self, policy: Policy, rollouts: Rollouts, number: int, *, step: int, weights: NDArray[Any] | None = None
    ) -> Floats:
        """Gradients of the mean expected reward of the rollouts' problems, each from a batch of rollouts of its own.

        Each is Σ A ∇log π / (P · G) with A the reward minus the mean of the group's others, so none is biased. Their
        mean is the reference, their spread its error.

        Args:
            policy: The policy.
            rollouts: Rollouts of a step, which say the problems of the P prompts.
            number: Rollouts per run in all; rounded up to two or more for each prompt and batch.
            step: Index of the step, for draws that no rollout of the step has used.
            weights: Weight of each reward component [K]; None: ones.

        Returns:
            Gradients [8, S, N].
        """
        assert rollouts.prompt is not None
        prompt = rollouts.prompt[:, : self.prompts]
        groups = max(2, -(-number // (_BATCHES * prompt.shape[1])))
        found = []
        for batch in range(_BATCHES):
            own, _ = self._answered(policy, prompt, groups, step=step, attempt=_REFERENCE + batch)
            assert own.mask is not None
            rewards = own.rewards.sum(-1) if weights is None else own.rewards @ weights
            advantage = (rewards - rewards.mean(-1, keepdims=True)) / (groups - 1) / prompt.shape[1]
            found.append(self.gradient(policy, own, advantage[..., None] * own.mask).double().cpu().numpy())
        return np.stack(found)

    def entropy(self, policy: Policy) -> Floats:
        """Entropy of the response [S], nats: mean over the last rollouts of the sum of each choice's entropy."""
        return self._last(policy)[1]

    @torch.no_grad()
    def kl(self, policy: Policy, other: Policy) -> Floats:
        """KL(policy ‖ other) of the response [S], nats: mean of log π/π' over the policy's last rollouts."""
        last, _ = self._last(policy)
        return (self.log_prob(policy, last) - self.log_prob(other, last)).sum(-1).mean((1, 2))

    def _last(self, policy: Policy) -> tuple[Rollouts, Floats]:
        """Rollouts of the policy as it is now and the entropy of a response [S]; drawn where there are none."""
        if policy.memo.get("moves") != policy.parameters._version:
            self.rollout(policy, 8, 0)
        return policy.memo["rollouts"], policy.memo["entropy"]

    def evaluate(self, policy: Policy, samples: int = 8, problems: int = 128) -> dict[str, Floats]:
        """Accuracy on held-out problems [S]: "greedy", "sampled" and "pass", right at least once in `samples`."""
        runs, some = len(policy.seeds), self.test[:problems]
        before = self._before_test[: len(some)].expand(runs, -1, -1)
        draws = uniforms(
            policy.seeds[:, None, None, None], prompt=np.arange(len(some))[:, None, None],
            rollout=np.arange(samples)[:, None], draw=np.arange(self.length), attempt=1,
        )  # fmt: skip
        drawn, _, _ = self._generate(policy.parameters, before, self._sent(draws))
        likely, _, _ = self._generate(policy.parameters, before, None)
        right = self._scored(drawn, [some] * runs)[..., 0]
        greedy = self._scored(likely, [some] * runs)[:, :, 0, 0].mean(-1)
        return {"greedy": greedy, "sampled": right.mean((1, 2)), "pass": right.any(-1).mean(-1)}

    def _pretrained(self, accuracy: float, seed: int) -> Tensor:
        size = max(len(p.solution) for p in self.train) + 1
        solutions = torch.from_numpy(self._coded([p.solution for p in self.train], right=size)).to(self.device)
        real = torch.from_numpy(_mask(solutions.cpu().numpy(), self.ends)).to(self.device)

        def loss(weights: Tensor, some: Tensor) -> Tensor:
            logp = self._continued(weights, self._before[some][None], solutions[some][None, :, None])[0, :, 0]
            return -(logp * real[some]).sum() / real[some].sum()

        def sampled(weights: Tensor) -> float:
            some = self.train[:256]
            draws = uniforms(seed, prompt=np.arange(len(some))[:, None, None], draw=np.arange(self.length))[None]
            drawn, _, _ = self._generate(weights, self._before[: len(some)][None], self._sent(draws))
            return float(self._scored(drawn, [some])[..., 0].mean())

        start = self.model.initial(seed)[None].to(self.device)
        found = imitate(start, loss, sampled, examples=len(self.train), wanted=accuracy, seed=seed)
        return found[0].cpu()


def _mask(actions: NDArray[np.int64], ends: Sequence[int]) -> NDArray[np.bool_]:
    """Tokens up to and with the first end token."""
    ended = np.isin(actions, ends)
    return np.cumsum(ended, axis=-1) - ended == 0


def _picked(logits: Tensor, u: Tensor) -> Tensor:
    """Tokens [S, B] by the inverse of the distribution function at u [S, P, G]."""
    below = logits.softmax(-1).cumsum(-1)[..., :-1] <= u.flatten(1)[..., None]
    return below.sum(-1)
