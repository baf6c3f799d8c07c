"""A tiny random language model and its tokenizer on disk; nothing is fetched."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ALPHABET = "0123456789+= abc"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of a two-layer Llama of width 32 with a vocabulary of characters."""
    transformers = pytest.importorskip("transformers")
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny")
    words = {c: i for i, c in enumerate(["<pad>", "<eos>", "<unk>", *ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder
