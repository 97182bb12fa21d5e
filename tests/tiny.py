"""A tokenizer and a model small enough to build inside a test, made like the course's own."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools.tokenizer import new_tokenizer

SENTENCES = [
    "The capital of France is Paris. The capital of Peru is Lima.",
    "What is the capital of Italy? The capital of Italy is Rome.",
    "user\nWhat is 12 + 7?\nassistant\n12 + 7 is 19.",
    "system\nYou are a helpful assistant who answers in one short sentence.",
    "Runs of white space\n\n\nare tokens too,   which may begin\n\n\nin one turn's header   and end in its content.",
]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The course's tokenizer with 400 tokens: it can spell anything, and each digit is a token."""
    return new_tokenizer(SENTENCES, size=400)


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> LlamaForCausalLM:
    """A Llama of two layers and width 32 with random weights, in float32."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).eval()
