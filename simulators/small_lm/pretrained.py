"""A pretrained causal language model as a world: the same tasks and the same gradient, by someone else's network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from simulators.devices import device_of
from simulators.errors import check_count
from simulators.records import Floats, Policy, Rollouts
from simulators.small_lm.hub import LowRank, Whole, load
from simulators.small_lm.tasks import FORM, Problem, marked, score, shown, task
from simulators.small_lm.world import SmallLM, _mask

__all__ = ["PretrainedLM"]

_NONE = -1  # fills up the shorter prompts


class PretrainedLM(SmallLM):
    """A causal language model of `transformers` on one text task.

    The prompt is the model's own chat template around what the task asks for, with a few worked problems; without a
    template it is plain text, and the end of the line ends a response. Runs are computed one after the other, so that
    none depends on its neighbours.

    Args:
        model: folder, GGUF file or name of the model; see `simulators.small_lm.hub.load`.
        task: name of a task (`simulators.small_lm.tasks.TASKS`).
        prompts: prompts P of a step, drawn from the training problems anew at each step.
        length: most tokens of a response T, the end included; 0: half as many again as the longest worked solution.
        lora: rank of the additions that are trained; 0: every weight is. The loop holds some eight float32 numbers
            for each trained one and each run (parameters, start, gradient, Adam's moments and what it computes), so
            the 135 million weights of a small model take about 4 GB a run, and its additions of rank 8 80 MB.
        shots: worked problems in the prompt.
        rows: most responses in one pass; more need more memory and change nothing else but rounding.
        problems: number of problems, a fifth of which are held out.
        seed: draws problems and additions.
        device: "cpu", "cuda", "cuda:1" or "auto" (a GPU where there is one).

    Attributes:
        trained: what is trained; `trained.size` parameters N per run.

    Raises:
        ValueError: an unknown task or device, a model that cannot be read, a prompt that does not fit into it.
    """

    provides: tuple[str, ...] = ("mask", "greedy_rewards")
    together = 1
    suits = MappingProxyType({"evaluate": 0})  # held-out problems take minutes, so they have to be asked for

    def __init__(
        self, model: str, task: str = "arithmetic", *, prompts: int = 8, length: int = 0, lora: int = 8, shots: int = 2,
        rows: int = 8, problems: int = 500, seed: int = 0, device: str = "auto",
    ) -> None:  # fmt: skip
        self.prompts, self.device = check_count("prompts", prompts, least=1), device_of(device)
        self.source, self.rows = model, check_count("rows", rows, least=1)
        check_count("length", length, least=0)
        self.shots = check_count("shots", shots, least=0)
        number = check_count("problems", problems, least=10 + shots)
        torch.set_num_threads(1)  # runs are the parallel work, and numbers do not depend on the cores
        loaded = load(model, self.device)
        rank = check_count("lora", lora, least=0)
        self.trained = LowRank(loaded, rank) if rank else Whole(loaded)
        self._start = self.trained.start(seed).to(self.device)
        self._tokenizer = loaded.tokenizer
        self.ends = _ends(loaded.model, self._tokenizer)
        self._problems(task, number, seed)
        self.length = length or 3 * (max(self._worked.values()) + 1) // 2
        room = getattr(loaded.model.config, "max_position_embeddings", None)
        if room and self._before.shape[1] + self.length > room:
            raise ValueError(f"prompts of {self._before.shape[1]} tokens and responses of {self.length} do not fit "
                             f"into the model's {room}; lower shots or length")  # fmt: skip

    def __repr__(self) -> str:
        return f"PretrainedLM({self.source!r}, {self.task.name}, prompts={self.prompts}, trained={self.trained.size})"

    def _problems(self, name: str, number: int, seed: int) -> None:
        self.task = task(name)
        every = self.task.problems(number, seed)
        every, shown_first = every[self.shots :], every[: self.shots]
        held = max(len(every) // 5, 1)
        self.train, self.test = every[held:], every[:held]
        before = self._prompted(shown_first, every)
        self._before, self._before_test = before[held:], before[:held]
        lengths = map(len, self._tokenizer([shown(p.solution) for p in every], add_special_tokens=False).input_ids)
        self._worked = dict(zip((p.prompt for p in every), lengths, strict=True))

    def _prompted(self, examples: Sequence[Problem], problems: Sequence[Problem]) -> Tensor:
        """Token numbers of the prompts [n, L]: what all begin with, `_NONE` in the shorter ones, the rest."""
        words, tokenizer = f"{self.task.words} {FORM}", self._tokenizer
        turns = [(p.prompt, shown(p.solution)) for p in examples]
        if tokenizer.chat_template:
            texts = tokenizer.apply_chat_template([_chat(words, turns, p.prompt) for p in problems], tokenize=False,
                                                  add_generation_prompt=True)  # fmt: skip
        else:
            head = "\n".join((words, *(f"{question} {answer}" for question, answer in turns), ""))
            texts = [f"{head}{p.prompt}" for p in problems]
        coded = tokenizer(texts, add_special_tokens=not tokenizer.chat_template).input_ids
        longest, shortest = max(map(len, coded)), min(map(len, coded))
        self._shared = next((i for i in range(shortest - 1) if len({row[i] for row in coded}) > 1), shortest - 1)
        rows = [row[: self._shared] + [_NONE] * (longest - len(row)) + row[self._shared :] for row in coded]
        return torch.tensor(rows, device=self.device)

    def text(self, tokens: Sequence[int] | NDArray[Any]) -> str:
        """A response as text up to its end."""
        own = np.asarray(tokens)
        kept = own[_mask(own, self.ends) & ~np.isin(own, self.ends)]
        return str(self._tokenizer.decode(kept.tolist(), skip_special_tokens=True))

    def pieces(self, tokens: Sequence[int] | NDArray[Any], prompt: int = 0) -> list[str]:
        """What each token of a response adds to its text; a character of several tokens stands at the last of them."""
        own, found, done = np.asarray(tokens), [], ""
        for n in range(1, len(own) + 1):
            whole = self.text(own[:n])
            if not whole.endswith("\ufffd") or n == len(own):
                found.append(whole[len(done) :])
                done = whole
            else:
                found.append("")
        return found

    def _scored(self, actions: NDArray[np.int64], problems: Sequence[Sequence[Any]]) -> Floats:
        """Reward components [S, P, G, K]; lengths are in tokens of this model."""
        rewards = np.zeros((*actions.shape[:3], len(self.components)))
        length = actions.shape[-1]
        for s, p, g in np.ndindex(*actions.shape[:3]):
            own, problem = actions[s, p, g], problems[s][p]
            if np.isin(own, self.ends).any():
                used = int(_mask(own, self.ends).sum()) - 1
                near = 1 - abs(used - self._worked[problem.prompt]) / length
                rewards[s, p, g] = (*score(self.task, problem, marked(self.text(own))), max(near, 0.0))
        return rewards

    @torch.inference_mode()
    def _generate(self, parameters: Tensor, before: Tensor, draws: Tensor | None) -> tuple[Any, Any, Any]:
        """Tokens, their log-probabilities and the entropy of each choice [S, P, G, T]; the likeliest without draws."""
        groups = 1 if draws is None else draws.shape[2]
        runs = []
        for s, own in enumerate(parameters):
            some = [self._answers(own, before[s, i], None if draws is None else draws[s, i], groups)
                    for i in self._passes(range(before.shape[1]), groups)]  # fmt: skip
            runs.append([torch.cat(part) for part in zip(*some, strict=True)])
        found = [torch.stack(part).cpu().numpy() for part in zip(*runs, strict=True)]
        found[0] = np.where(_mask(found[0], self.ends), found[0], self.ends[0])
        return found[0], found[1], found[2]

    def _passes(self, prompts: Sequence[int] | NDArray[Any], groups: int) -> Iterator[list[int]]:
        """The prompts in parts of at most `rows` responses, at least one prompt in each."""
        size = max(self.rows // groups, 1)
        yield from ([int(p) for p in prompts[i : i + size]] for i in range(0, len(prompts), size))

    def _answers(self, own: Tensor, before: Tensor, draws: Tensor | None, groups: int) -> list[Tensor]:
        """Tokens, log-probabilities and entropies [P, G, T] behind prompts [P, L]."""
        cache, real, logits = self._asked(own, before, groups)
        told: list[tuple[Tensor, ...]] = []
        ended = torch.zeros(len(real), dtype=torch.bool, device=self.device)
        while len(told) < self.length:
            told.append(_drawn(logits, None if draws is None else draws[..., len(told)].reshape(-1)))
            token = told[-1][0]
            ended |= torch.isin(token, torch.tensor(self.ends, device=self.device))
            if bool(ended.all()):
                break
            if len(told) < self.length:
                real = F.pad(real, (0, 1), value=True)
                logits = self._further(own, token[:, None], cache, real)[:, -1]
        short = self.length - len(told)
        return [F.pad(torch.stack(part, -1), (0, short), value=value).unflatten(0, (-1, groups))
                for part, value in zip(zip(*told, strict=True), (self.ends[0], 0, 0), strict=True)]  # fmt: skip

    def _asked(self, own: Tensor, before: Tensor, groups: int) -> tuple[Any, Tensor, Tensor]:
        """Prompts [P, L] read for G responses each: cache, which positions are real, logits [P · G, V].

        What all prompts begin with is read once for all of them, and a prompt once for all of its responses.
        """
        head, rest = before[:1, : self._shared], before[:, self._shared :]
        cache = self.trained(own, input_ids=head, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(before))
        rest = rest[:, (rest != _NONE).any(0)]
        real = F.pad(rest != _NONE, (self._shared, 0), value=True)
        logits = self._further(own, rest.clamp(min=0), cache, real)[:, -1]
        cache.batch_repeat_interleave(groups)
        return cache, real.repeat_interleave(groups, 0), logits.repeat_interleave(groups, 0)

    def _further(self, own: Tensor, tokens: Tensor, cache: Any, real: Tensor) -> Tensor:
        """Logits [B, n, V] behind each of n further tokens; `real` [B, past + n] covers them and what the cache has."""
        place = (real.cumsum(-1) - 1)[:, -tokens.shape[1] :]
        out = self.trained(own, input_ids=tokens, attention_mask=real.long(), position_ids=place,
                           past_key_values=cache, use_cache=True)  # fmt: skip
        return out.logits.float()

    def _told_logp(self, own: Tensor, before: Tensor, actions: Tensor, mask: Tensor) -> Tensor:
        """Log-probability of each token [P, G, T], differentiable; 0 behind the end."""
        groups, length = actions.shape[1], actions.shape[2]
        used = int(mask.flatten(0, 1).any(0).sum())
        tokens = actions[..., :used].flatten(0, 1)
        cache, real, logits = self._asked(own, before, groups)
        logits = logits[:, None]
        if used > 1:
            real = F.pad(real, (0, used - 1), value=True)
            logits = torch.cat((logits, self._further(own, tokens[:, :-1], cache, real)), 1)
        logp = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        return torch.where(mask, F.pad(logp, (0, length - used)).unflatten(0, (-1, groups)), 0.0)

    def _placed(self, rollouts: Rollouts) -> tuple[Tensor, Tensor, Tensor]:
        """Prompts [S, P, L], actions and mask [S, P, G, T] on the device."""
        assert rollouts.prompt is not None and rollouts.mask is not None
        prompt, actions, mask = (torch.from_numpy(a).to(self.device) for a in
                                 (rollouts.prompt, rollouts.actions, rollouts.mask))  # fmt: skip
        return self._before[prompt], actions, mask

    def token_logp(self, parameters: Tensor, rollouts: Rollouts) -> Tensor:
        """Log-probability of every token [S, P, G, T], differentiable; 0 behind the end token."""
        before, actions, mask = self._placed(rollouts)
        _, prompts, groups, _ = actions.shape
        return torch.stack([
            torch.cat([self._told_logp(own, before[s, i], actions[s, i], mask[s, i])
                       for i in self._passes(range(prompts), groups)])
            for s, own in enumerate(parameters)
        ])  # fmt: skip

    def gradient(self, policy: Policy, rollouts: Rollouts, weights: Floats) -> Tensor:
        """Σ w ∇log π by autograd, the weights [S, P, G, T] held fixed: a tensor [S, N]."""
        before, actions, mask = self._placed(rollouts)
        found = torch.zeros_like(policy.parameters)
        for s in range(len(found)):
            own = policy.parameters[s].detach().requires_grad_()
            for i in self._passes(np.flatnonzero(weights[s].any((-2, -1))), actions.shape[2]):
                w = torch.as_tensor(weights[s, i], dtype=found.dtype, device=self.device)
                loss = (w * self._told_logp(own, before[s, i], actions[s, i], mask[s, i])).sum()
                found[s] += torch.autograd.grad(loss, own)[0]
        return found


def _chat(words: str, turns: Sequence[tuple[str, str]], prompt: str) -> list[dict[str, str]]:
    """The conversation: what is wanted stands in front of the first question."""
    asked = [*(question for question, _ in turns), prompt]
    asked[0] = f"{words}\n{asked[0]}"
    answers = [answer for _, answer in turns]
    talk = [{"role": "user", "content": asked[0]}]
    for answer, question in zip(answers, asked[1:], strict=True):
        talk += [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    return talk


def _ends(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Numbers of the tokens that end a response: the model's own, and without a chat template every line's end."""
    given = [getattr(model.generation_config, "eos_token_id", None), tokenizer.eos_token_id]
    own = {int(t) for each in given if each is not None for t in (each if isinstance(each, list) else [each])}
    if not tokenizer.chat_template:
        own |= {
            i for i, text in enumerate(tokenizer.batch_decode([[i] for i in range(len(tokenizer))])) if "\n" in text
        }
    if not own:
        raise ValueError("the model names no end token, and its tokenizer neither")
    first = tokenizer.eos_token_id if tokenizer.eos_token_id in own else min(own)
    return (first, *sorted(own - {first}))


def _drawn(logits: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens for logits [..., V] and uniforms [...] (the likeliest without), their log-probability, the entropy."""
    logp = logits.double().log_softmax(-1)
    p = logp.exp()
    if draws is None:
        token = logp.argmax(-1)
    else:
        token = (p.cumsum(-1) <= draws[..., None]).sum(-1).clamp_(max=logits.shape[-1] - 1)
    return token, logp.gather(-1, token[..., None])[..., 0], -(p * logp).sum(-1)
