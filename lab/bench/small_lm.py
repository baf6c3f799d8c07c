"""Training steps per second of a small transformer: the lab beside TRL's trainer on a model of the same size."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from lab.bench.harness import Row, benchmark, taking_turns

PROMPTS, GROUP_SIZE, LENGTH, LAYERS, WIDTH, HEADS, STEPS, TOGETHER, RUNS = 8, 8, 16, 2, 32, 2, 20, 4, 7
UNIT = "steps/s"


@benchmark("small-lm", "small transformer: 2 layers, width 32, 8 prompts × 8 completions of 16 tokens, one thread")
def small_lm() -> list[Row]:
    """One optimizer step per batch; weights are random, so that every completion is long, and nothing is measured."""
    import torch

    from lab.training.train import train
    from simulators.small_lm.world import SmallLM

    torch.set_num_threads(1)
    world = SmallLM(prompts=PROMPTS, length=LENGTH, layers=LAYERS, width=WIDTH, heads=HEADS, accuracy=0.0, device="cpu")
    given: dict[str, Any] = {"steps": STEPS, "group_size": GROUP_SIZE, "lr": 3e-4, "optimizer": "adam", "evaluate": 0,
                             "threads": 1}  # fmt: skip
    one, several = (partial(train, world, "grpo", seeds=n, measure=None, **given) for n in (1, TOGETHER))
    tasks: dict[str, Callable[[], Any]] = {"lab, one run": one, f"lab, {TOGETHER} runs in one batch": several}
    count = dict.fromkeys(tasks, STEPS) | {f"lab, {TOGETHER} runs in one batch": STEPS * TOGETHER}
    theirs = _trl()
    if theirs is not None:
        tasks["TRL"], count["TRL"] = theirs, STEPS
    seconds = taking_turns(tasks, RUNS)
    speeds = {name: [count[name] / each for each in times] for name, times in seconds.items()}
    rows = [Row(name, median(speed), UNIT, *_beside(name, speeds), RUNS) for name, speed in speeds.items()]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*rows, Row("peak memory of the process", peak, "MiB", "", None, 1)]


def _beside(name: str, speeds: dict[str, list[float]]) -> tuple[str, float | None]:
    """What it is compared with, and the median over the runs of the ratio of two speeds measured in turn."""
    if name == "TRL" or "TRL" not in speeds:
        return "", None
    return "TRL", median(ours / theirs for ours, theirs in zip(speeds[name], speeds["TRL"], strict=True))


def _trl() -> Callable[[], Any] | None:
    """Training by TRL of a Llama of the same sizes; None where TRL is missing."""
    try:
        import datasets
        import transformers
        import trl
    except ImportError:
        return None
    folder = Path(tempfile.mkdtemp(prefix="advlab-bench-"))
    tokenizer = _characters()
    data = datasets.Dataset.from_dict({"prompt": [f"{a:02d}+{b:02d}=" for a in range(40) for b in range(40)]})
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=64, pad_token_id=0,
        eos_token_id=None, bos_token_id=1,
    )  # fmt: skip

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [sum(c.isdigit() for c in text) / LENGTH for text in completions]

    args = trl.GRPOConfig(
        output_dir=str(folder), per_device_train_batch_size=PROMPTS * GROUP_SIZE, num_generations=GROUP_SIZE,
        max_completion_length=LENGTH, max_steps=STEPS, learning_rate=3e-4, report_to=[], save_strategy="no",
        logging_strategy="no", use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True, beta=0.0,
    )  # fmt: skip
    trainer = trl.GRPOTrainer(transformers.LlamaForCausalLM(config), reward, args, data, processing_class=tokenizer)
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer.train


def _characters() -> Any:
    """A tokenizer of digits and signs."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {c: i for i, c in enumerate(["<pad>", "<eos>", "<unk>", *"0123456789+= "])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
