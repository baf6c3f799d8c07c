"""Pretrained causal language models from disk, and what of them is trained: low-rank additions or every weight.

Only safetensors and GGUF files are read, so that nothing is unpickled, and no code that comes with a model is run.
"""

from __future__ import annotations

import inspect
import math
import threading
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Loaded", "LowRank", "Whole", "load"]

_EXTRA = "pip install 'advantage-lab[hf]'"
_LOADING = threading.Lock()
_SWAPPING = threading.Lock()


class Loaded(NamedTuple):
    """A model in evaluation mode with fixed weights, its tokenizer, and the linear layers inside its blocks."""

    model: Any
    tokenizer: Any
    linear: tuple[nn.Module, ...]


def load(name: str, device: torch.device) -> Loaded:
    """The model of that name, loaded once for all worlds of the process.

    Args:
        name: a folder with config.json and safetensors, a GGUF file or the folder of one, or a name on the hub, which
            is taken from the local cache or, where it is not there, fetched.
        device: where it is put, in float32 on a CPU and in the precision it was saved in elsewhere.

    Raises:
        ValueError: there is no such model, its files cannot be used, or a package is missing; the message says which.
    """
    missing = [package for package in ("transformers", "accelerate") if find_spec(package) is None]
    if missing:
        raise ValueError(f"model {name!r} needs {' and '.join(missing)}: {_EXTRA}")
    folder, file = _place(name)
    if file and find_spec("gguf") is None:
        raise ValueError(f"model {name!r} is a GGUF file and needs gguf: {_EXTRA}")
    source = Path(folder, file or "config.json")
    changed = source.stat().st_mtime_ns if source.exists() else 0
    with _LOADING:
        return _read(name, folder, file, changed, str(device))


def _place(name: str) -> tuple[str, str | None]:
    """Folder or name on the hub, and the GGUF file in it."""
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ValueError(f"model {name!r}: it must be a folder or a .gguf file")
        return str(path.parent), path.name
    if not path.is_dir():
        if path.is_absolute() or name.startswith((".", "~")) or name.endswith(".gguf") or name.count("/") > 1:
            raise ValueError(f"model {name!r}: there is no such file or folder")
        return name, None
    files = sorted(p.name for p in path.glob("*.gguf"))
    if (path / "config.json").is_file():
        if not any(path.glob("*.safetensors")):
            raise ValueError(f"model {name!r}: the folder has no *.safetensors; other formats are not read, because "
                             "they are unpickled (save_pretrained of transformers writes this one)")  # fmt: skip
        return str(path), None
    if len(files) != 1:
        which = f"several GGUF files ({', '.join(files)}): name one" if files else "neither config.json nor a GGUF file"
        raise ValueError(f"model {name!r}: the folder has {which}")
    return str(path), files[0]


@lru_cache(maxsize=2)
def _read(name: str, folder: str, file: str | None, changed: int, device: str) -> Loaded:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.pytorch_utils import Conv1D
    from transformers.utils import logging

    safe: dict[str, Any] = {"trust_remote_code": False, **({"gguf_file": file} if file else {})}
    dtype = torch.float32 if device == "cpu" or file else "auto"
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = _found(name, partial(AutoTokenizer.from_pretrained, folder, **safe))
        model = _found(name, partial(AutoModelForCausalLM.from_pretrained, folder, use_safetensors=True, dtype=dtype,
                                     **safe))  # fmt: skip
    finally:
        if bars:
            logging.enable_progress_bar()
    model = model.to(device).eval().requires_grad_(False)
    output = model.get_output_embeddings()
    linear = tuple(m for m in model.modules() if isinstance(m, nn.Linear | Conv1D) and m is not output)
    for layer in linear:
        layer.register_forward_hook(_added)
    return Loaded(model, tokenizer, linear)


def _found(name: str, read: Any) -> Any:
    """What `read` finds on this machine, or else on the hub."""
    try:
        return read(local_files_only=True)
    except Exception as reason:  # whatever a damaged file does inside another library
        if Path(name).expanduser().exists():
            raise ValueError(f"model {name!r} cannot be read: {_first_line(reason)}") from None
    try:
        return read()
    except Exception as reason:
        raise ValueError(
            f"model {name!r} is neither a folder nor in the local cache, and could not be fetched "
            f"({_first_line(reason)}); where there is a network, `hf download {name} --local-dir DIR` gets it, and "
            "DIR is then its name here"
        ) from None


def _first_line(reason: Exception) -> str:
    return (str(reason).strip().partition("\n")[0] or type(reason).__name__)[:300]


class _Low(threading.local):
    """The low-rank additions of the forward pass that this thread is in."""

    factors: dict[nn.Module, tuple[Tensor, Tensor]] = {}  # noqa: RUF012 (replaced, never filled)


_LOW = _Low()


def _added(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    own = _LOW.factors.get(layer)
    if own is None:
        return output
    return output + ((inputs[0].to(own[0].dtype) @ own[0]) @ own[1]).to(output.dtype)


class LowRank:
    """x W + x A B in every linear layer of the blocks; A and B are trained, W is not.

    Args:
        loaded: the model.
        rank: width of A [in, rank] and height of B [rank, out].

    Attributes:
        size: number of trained parameters N.

    Source: LoRA, arXiv 2106.09685; its scale is part of the learning rate here.
    """

    def __init__(self, loaded: Loaded, rank: int) -> None:
        if not loaded.linear:
            raise ValueError("the model has no linear layer to add to; lora=0 trains every weight")
        self._model, self._layers = loaded.model, loaded.linear
        self._shapes = [((i, rank), (rank, o)) for i, o in map(_width, self._layers)]
        self._sizes = [math.prod(shape) for pair in self._shapes for shape in pair]
        self.size = sum(self._sizes)

    def start(self, seed: int) -> Tensor:
        """Parameters [N] that change nothing yet: A normal with deviation 1/√in, B zero."""
        draw = torch.Generator().manual_seed(seed)
        parts = [(torch.randn(a, generator=draw) / a[0] ** 0.5, torch.zeros(b)) for a, b in self._shapes]
        return torch.cat([part.reshape(-1) for pair in parts for part in pair])

    def __call__(self, parameters: Tensor, **inputs: Any) -> Any:
        """The model's output with the parameters [N] in place."""
        pieces = iter(parameters.split(self._sizes))
        shaped = [(next(pieces).view(a), next(pieces).view(b)) for a, b in self._shapes]
        _LOW.factors = dict(zip(self._layers, shaped, strict=True))
        try:
            return self._model(**_accepted(self._model, inputs))
        finally:
            _LOW.factors = {}


class Whole:
    """Every weight of the model is trained, in float32.

    Args:
        loaded: the model.

    Attributes:
        size: number of trained parameters N.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._model = loaded.model
        self._shapes = {name: weight.shape for name, weight in self._model.named_parameters()}
        self.size = sum(math.prod(shape) for shape in self._shapes.values())

    def start(self, seed: int) -> Tensor:
        """The model's own weights [N]; the seed decides nothing."""
        return torch.cat([weight.detach().float().reshape(-1).cpu() for weight in self._model.parameters()])

    def __call__(self, parameters: Tensor, **inputs: Any) -> Any:
        """The model's output with the parameters [N] in place of its weights."""
        pieces = parameters.split([math.prod(shape) for shape in self._shapes.values()])
        weights = {n: p.view(shape) for (n, shape), p in zip(self._shapes.items(), pieces, strict=True)}
        with _SWAPPING:  # the weights stand in the one model while it runs
            return torch.func.functional_call(self._model, weights, (), _accepted(self._model, inputs))


def _width(layer: nn.Module) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    weight: Any = layer.weight
    return int(weight.shape[0]), int(weight.shape[1])


def _accepted(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Those inputs that the model's forward pass names; not every architecture wants positions."""
    known = inspect.signature(model.forward).parameters
    return {name: value for name, value in inputs.items() if name in known}
