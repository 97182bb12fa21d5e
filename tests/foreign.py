"""Models as other houses publish them, in small: their chat templates, special tokens and architectures."""

from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.tiny import SENTENCES


class House(NamedTuple):
    """A chat template with the tokens that it writes. `end` ends the assistant's turn."""

    jinja: str
    markers: tuple[str, ...]
    end: str
    named: dict[str, str]
    """What the tokenizer calls its special tokens; its eos need not end a turn."""
    system: bool = True


LLAMA3 = House(  # as published with Llama 3: contents are trimmed, and the document token is the template's
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
)
GEMMA = House(  # as published with Gemma 2: no system turn, another name for the assistant
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"
    "{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
    "<end_of_turn>",
    {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"},
    system=False,
)
SMOL = House(  # as published with SmolLM2: a system turn of its own where there is none
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
    {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>", "pad_token": "<|im_end|>"},
)
ZEPHYR = House(  # as published with Zephyr: the end comes from the tokenizer, headers are ordinary words
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    ("<unk>", "<s>", "</s>"),
    "</s>",
    {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"},
)
PHI3 = House(  # as published with Phi-3: its tokens swallow the white space behind them
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"),
    "<|end|>",
    {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
)
HOUSES = {"Llama 3": LLAMA3, "Gemma": GEMMA, "SmolLM2": SMOL, "Zephyr": ZEPHYR, "Phi-3": PHI3}


def tokenizer_of(house: House, trim: bool = False, size: int = 400) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a house's tokens; `trim` cuts white space from its offsets, as is the default."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    rstrip = house is PHI3
    special = [AddedToken(text, special=True, rstrip=rstrip, normalized=False) for text in house.markers]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator([*SENTENCES, "a  b\n\n    c\n        d"] * 2, trainer)
    bpe.post_processor = processors.ByteLevel(trim_offsets=trim)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, chat_template=house.jinja, **house.named)


FAMILIES: dict[str, dict[str, int]] = {
    "llama": {"intermediate_size": 64, "num_key_value_heads": 2},
    "qwen2": {"intermediate_size": 64, "num_key_value_heads": 2},
    "qwen3": {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8},
    "gemma2": {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8},
    "phi3": {"intermediate_size": 64, "num_key_value_heads": 2},
    "gpt_neox": {"intermediate_size": 64},
    "falcon": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt2": {},
    "gptj": {"rotary_dim": 8},
    "bloom": {},
}


def save_folder(folder: Path, house: House, family: str = "llama", ends: list[int] | None = None) -> Path:
    """A model of two layers and width 32 with random weights, in the hub's format."""
    tokenizer = tokenizer_of(house)
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    named = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos")}
    config = AutoConfig.for_model(family, **sizes, **FAMILIES[family], **named, pad_token_id=0)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    if ends is not None:
        model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
