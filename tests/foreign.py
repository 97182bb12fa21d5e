"""Models as other houses publish them, in small: their chat templates, special tokens and architectures."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
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
    trims: bool = False
    """It cuts white space from what is said."""


LLAMA3 = House(  # as published with Llama 3: contents are trimmed, and the document token is the template's
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
    trims=True,
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
    trims=True,
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
PHI3 = House(  # as published with Phi-3: its tokens swallow white space, and eos closes a conversation
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"),
    "<|end|>",
    {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
)
HOUSES = {"Llama 3": LLAMA3, "Gemma": GEMMA, "SmolLM2": SMOL, "Zephyr": ZEPHYR, "Phi-3": PHI3}


LLAMA31 = LLAMA3._replace(  # as published with Llama 3.1, tools left out: a system turn that tells the date
    jinja="{{- bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y, %H') %}{%- else %}{%- set date_string = '26 Jul 2024' %}"
    "{%- endif %}{%- endif %}{%- if messages[0]['role'] == 'system' %}"
    "{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system_message = '' %}{%- endif %}{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Today Date: ' + date_string + '\n\n' }}{{- system_message }}{{- '<|eot_id|>' }}"
    "{%- for message in messages %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ "
    "message['content'] | trim + '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
GEMMA3 = GEMMA._replace(  # as published with Gemma 3: the system's words open the user's first turn
    jinja="{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}"
    "{%- set prefix = messages[0]['content'] + '\n\n' -%}{%- set loop_messages = messages[1:] -%}{%- else -%}"
    "{%- set prefix = '' -%}{%- set loop_messages = messages -%}{%- endif -%}"
    "{%- for message in loop_messages -%}{%- if (message['role'] == 'assistant') -%}"
    "{%- set role = 'model' -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}"
    "{{ '<start_of_turn>' + role + '\n' + (prefix if loop.first else '') }}{%- if message['content'] is string -%}"
    "{{ message['content'] | trim }}{%- else -%}{%- for item in message['content'] -%}{{ item['text'] | trim }}"
    "{%- endfor -%}{%- endif -%}{{ '<end_of_turn>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}"
    "{{'<start_of_turn>model\n'}}{%- endif -%}",
    system=True,
)
MISTRAL = House(  # as published with Mistral 7B v0.3, system turn and tools left out
    "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'user' %}"
    "{{- '[INST] ' + message['content'] + '[/INST]' }}{%- elif message['role'] == 'assistant' %}"
    "{{- ' ' + message['content']|trim + eos_token}}{%- else %}{{- raise_exception('Only user and assistant') }}"
    "{%- endif %}{%- endfor %}",
    ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
    "</s>",
    {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    system=False,
    trims=True,
)
DEEPSEEK = House(  # as published with DeepSeek-R1: the prompt opens a thought that no answer in the data has
    "{% set ns = namespace(system='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}"
    "{% set ns.system = m['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system}}"
    "{%- for m in messages %}{%- if m['role'] == 'user' %}{{'<|User|>' + m['content']}}{%- endif %}"
    "{%- if m['role'] == 'assistant' %}{% set content = m['content'] %}{% if '</think>' in content %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<|Assistant|>' + content + '<|end_of_sentence|>'}}{%- endif %}{%- endfor -%}"
    "{% if add_generation_prompt %}{{'<|Assistant|><think>\n'}}{% endif %}",
    ("<|begin_of_sentence|>", "<|end_of_sentence|>", "<|User|>", "<|Assistant|>"),
    "<|end_of_sentence|>",
    {"bos_token": "<|begin_of_sentence|>", "eos_token": "<|end_of_sentence|>"},
)
NEWLINES = SMOL._replace(  # cuts line breaks and leaves other white space
    jinja=SMOL.jinja.replace("message['content']", "message['content'].strip('\n')"),
)
MORE = {"Llama 3.1": LLAMA31, "Gemma 3": GEMMA3, "Mistral": MISTRAL, "DeepSeek": DEEPSEEK, "line breaks": NEWLINES}


def sentencepiece(house: House, scheme: str) -> PreTrainedTokenizerFast:
    """As Llama 2 and Mistral have it: BPE on text whose spaces are written out, and bytes for what is unknown.

    `scheme` says where a space is put before a text: "legacy" in the normalizer, "first", "always" or "never".
    """
    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if scheme == "legacy":
        bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    special = [AddedToken(text, special=True, normalized=False) for text in house.markers]
    single = [AddedToken(f"<0x{byte:02X}>", normalized=False) for byte in range(256)]
    bpe.train_from_iterator(SENTENCES * 2, trainers.BpeTrainer(vocab_size=600, special_tokens=special + single))
    written = json.loads(bpe.to_str())
    written["added_tokens"] = [token for token in written["added_tokens"] if not token["content"].startswith("<0x")]
    bpe = Tokenizer.from_str(json.dumps(written))
    bpe.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    start = ("<s>", bpe.token_to_id("<s>"))
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[start])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, chat_template=house.jinja, **house.named)


def other_tokenizer(house: House, kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer that loses something of a text: "unigram" (T5), "wordpiece" (BERT) or "prefix" (RoBERTa)."""
    special = [AddedToken(text, special=True, normalized=False) for text in house.markers]
    if kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.normalizer, made.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="first")
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>")
    elif kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="<unk>"))
        made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special)
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(SENTENCES * 2, trainer)
    ends = [(text, made.token_to_id(text)) for text in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=house.jinja, **house.named)


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


FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"intermediate_size": 64, "num_key_value_heads": 2, "problem_type": "single_label_classification"},
    "qwen2": {"intermediate_size": 64, "num_key_value_heads": 2},
    "qwen3": {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8},
    "qwen3_moe": {"moe_intermediate_size": 32, "num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2},
    "mixtral": {
        "intermediate_size": 64,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "output_router_logits": True,
    },
    "mistral": {"intermediate_size": 64, "num_key_value_heads": 2, "sliding_window": 8},
    "gemma2": {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8},
    "gemma3_text": {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8},
    "phi3": {"intermediate_size": 64, "num_key_value_heads": 2},
    "gpt_neox": {"intermediate_size": 64},
    "falcon": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 16, "dropout": 0.3, "layerdrop": 0.3},  # as OPT-350m
    "gpt2": {"resid_pdrop": 0.3, "embd_pdrop": 0.3, "attn_pdrop": 0.3},
    "gptj": {"rotary_dim": 8},
    "bloom": {},
}


def save_folder(folder: Path, house: House, family: str = "llama", ends: list[int] | None = None) -> Path:
    """A model of two layers and width 32 with random weights, in the hub's format."""
    tokenizer = tokenizer_of(house)
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    named = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos")}
    config = AutoConfig.for_model(family, **sizes, **FAMILIES.get(family, {}), **named, pad_token_id=0)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    if ends is not None:
        model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
