"""The tokenizer of the shipped checkpoints, trained on the toy world's text."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from course.templates import CHATML, DOCUMENT, END, START

PADDING = "<|pad|>"


def new_tokenizer(texts: list[str], size: int = 2048) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer in which every digit is a token of its own.

    A model that sees 12 and 120 as unrelated symbols cannot learn to add. Padding, end of document and end of turn are
    three tokens: notebook 02 shows what happens otherwise.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    special, signs = [PADDING, DOCUMENT, START, END], pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=signs, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    named = {"bos_token": DOCUMENT, "eos_token": END, "pad_token": PADDING, "additional_special_tokens": [START]}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, clean_up_tokenization_spaces=False, **named)
    tokenizer.chat_template = CHATML.jinja
    return tokenizer
