"""A tiny random causal model with its tokenizer on disk: nothing is fetched, and the doors are those of a real one."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>"]


def tokenizer(*, chat: bool = True):
    """Bytes, and some pairs of digits, so that prompts differ in length."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [(a, b) for a in "0123" for b in "456789"]
    vocabulary = {token: i for i, token in enumerate([*letters, *(a + b for a, b in merges)])}
    bare = Tokenizer(models.BPE(vocabulary, merges))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens([AddedToken(s, special=True) for s in SPECIAL])
    made = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|end|>")
    made.chat_template = TEMPLATE if chat else None
    return made


def make(folder: Path, *, chat: bool = True, seed: int = 0) -> Path:
    """A Llama of 2 layers and width 16 with random weights; weights as safetensors."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(chat=chat)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=True, initializer_range=0.4,
        bos_token_id=None, eos_token_id=words.eos_token_id, rms_norm_eps=1e-5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def as_gguf(folder: Path, path: Path) -> Path:
    """The model of a folder as one GGUF file, float32, with its tokenizer and template."""
    import gguf
    import numpy as np
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, words = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words.convert_ids_to_tokens(range(len(words))))
    writer.add_token_types([3 if t in SPECIAL else 1 for t in words.convert_ids_to_tokens(range(len(words)))])
    writer.add_token_merges([f"{a} {b}" for a in "0123" for b in "456789"])
    writer.add_eos_token_id(words.eos_token_id)
    writer.add_bos_token_id(words.eos_token_id)
    if words.chat_template:
        writer.add_chat_template(words.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name != "lm_head.weight":
            base, _, end = name.rpartition(".")
            array = weight.numpy().astype(np.float32)
            heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(
                base.split(".")[-1]
            )
            if heads:  # the format keeps the halves of rotary pairs side by side
                array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
            writer.add_tensor(f"{names.get_name(base)}.{end}", np.ascontiguousarray(array))
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return path
