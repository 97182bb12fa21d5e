"""Loading and making the course's models: one call for embedded checkpoints, folders and the hub.

Serves every lesson. Weights are read as safetensors only and no remote code is ever run. Models are held in float32;
where the device computes in bfloat16 natively, training and sampling run under autocast (`precision`).
LoRA follows Hu et al. 2021 and is PEFT's.
"""

import contextlib
import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from course import SEED
from course.templates import CHATML, DOCUMENT, END, START

CHECKPOINTS = Path(__file__).parent / "checkpoints"

SHIPPED = ("base", "sft", "mixed", "reward", "judge")
PADDING = "<|pad|>"


class CannotLoad(RuntimeError):
    """A model could not be loaded; the message says what was wrong and what to do."""


@dataclass(frozen=True)
class LM:
    """A language model and its tokenizer, which belong together.

    Attributes:
        name: what it was loaded as.
        model: a transformers causal language model, in evaluation mode.
        tokenizer: its tokenizer. `eos_token` ends a turn and `pad_token` is another; see `load` for where a model
            from the hub has it otherwise.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def parameters(self) -> int:
        """Number of weights, trainable or not."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def trainable(self) -> int:
        """Number of weights that training changes."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precision(device: torch.device) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where the device has it in hardware; full float32 elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def embedded() -> list[str]:
    """Names of the checkpoints that came with the package."""
    return sorted(folder.name for folder in CHECKPOINTS.glob("*") if (folder / "config.json").exists())


def load(name: str | Path, device: torch.device | str | None = None) -> LM:
    """Load a model and its tokenizer.

    A base model from the hub often names `<|endoftext|>` as its only end, while the chat template of this course ends
    a turn by `<|im_end|>`: trained on the one and stopped by the other, it would never end an answer. So where the
    tokenizer has these tokens, `<|im_end|>` becomes its end, `<|endoftext|>` its document start if it has none, and
    a token other than the end its padding. No token is added: one that has a single special token, like GPT-2's,
    keeps that one for everything, and has no turns to end.

    Args:
        name: an embedded checkpoint ("base", "sft"), a folder in the hub's format, or a hub name
            ("HuggingFaceTB/SmolLM2-135M").
        device: where to put it; the best one present if not given.
    Raises:
        CannotLoad: no such name, no network, or damaged files. The message names the mend.
    """
    model, tokenizer = open_checkpoint(name, AutoModelForCausalLM, device)
    return LM(str(name), model, tokenizer)


def open_checkpoint(
    name: str | Path,
    kind: type[AutoModelForCausalLM | AutoModelForSequenceClassification],
    device: torch.device | str | None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """What `load` and `course.rewards.load_reward` share: a model of the given kind, in evaluation mode, its tokenizer.

    Raises:
        CannotLoad: as `load`; also when the checkpoint is of the other kind.
    """
    folder = CHECKPOINTS / str(name) if str(name) in embedded() else Path(name)
    local = (folder / "config.json").exists()
    if not local and str(name) in SHIPPED:
        raise CannotLoad(f"The checkpoint {str(name)!r}, which comes with the course, is missing. {_mend(str(name))}")
    if not local and (folder.exists() or str(name).count("/") != 1):
        raise CannotLoad(
            f"There is no model {str(name)!r}. Embedded: {', '.join(embedded())}. Otherwise give a folder that holds "
            "config.json, model.safetensors and tokenizer.json, or a hub name such as 'HuggingFaceTB/SmolLM2-135M'."
        )
    source = str(folder) if local else str(name)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model, report = kind.from_pretrained(
                source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
    except Exception as error:  # of many kinds: tokenizers, for one, raises nothing more special
        raise CannotLoad(_why_not(str(name), local, error)) from error
    made_for = "".join(model.config.architectures or [])
    if kind is AutoModelForCausalLM and "ForSequenceClassification" in made_for:
        raise CannotLoad(f"{str(name)!r} gives scores and writes nothing. Load it with course.rewards.load_reward.")
    if kind is AutoModelForSequenceClassification and "ForSequenceClassification" not in made_for:
        raise CannotLoad(
            f"{str(name)!r} is a language model, which gives no scores. Make a reward model of it with "
            "course.rewards.new_reward_model, and train that."
        )
    if absent := sorted(set(report["missing_keys"]) - set(model.all_tied_weights_keys)):
        raise CannotLoad(f"The checkpoint {str(name)!r} lacks weights: {', '.join(absent[:3])}. {_mend(str(name))}")
    with _quiet():  # asked for a token that is not set, transformers may say so
        _name_special_tokens(tokenizer)
    return model.to(device or best_device()).eval(), tokenizer


def _name_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    vocabulary = tokenizer.get_vocab()
    if END in vocabulary:
        tokenizer.eos_token = END
    if DOCUMENT in vocabulary and tokenizer.bos_token in (None, START):
        tokenizer.bos_token = DOCUMENT
    end = tokenizer.eos_token
    if tokenizer.pad_token in (None, end):
        special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        # Best one that is made for padding, then one that stands outside of turns.
        wanted = [*(t for t in special if "pad" in t.lower()), DOCUMENT, tokenizer.unk_token, tokenizer.bos_token]
        others = [t for t in [*wanted, *special] if t in special and t not in (START, end)]
        tokenizer.pad_token = others[0] if others else end


def _mend(name: str) -> str:
    if name in SHIPPED:
        return (
            "Reinstall the package; in a checkout, `git checkout -- course/checkpoints` fetches it back and "
            "`make checkpoints` builds it anew."
        )
    return "Save it again with `save_pretrained`, or download it again."


def _why_not(name: str, local: bool, error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "custom code" in first:
        return f"{name!r} would have to run Python code of its own to load, and this course never does. Choose another."
    if local:
        return f"The checkpoint {name!r} is damaged or incomplete ({first}). {_mend(name)}"
    return (
        f"{name!r} could not be fetched from the hub ({first}). Check the name and the network. "
        f"These need no network: {', '.join(SHIPPED)}."
    )


@contextlib.contextmanager
def _quiet():
    """Keep transformers' loading bars and notes out of notebooks."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def save(lm: LM, folder: Path) -> None:
    """Write a model and its tokenizer in the hub's format, weights as float16 safetensors.

    Float16 halves the file; loaded back to float32, the rounding is far below what a question can notice. LoRA
    adapters are merged into the weights they adapt, so that the folder can be loaded like any other.
    """
    model = copy.deepcopy(lm.model)
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    with _quiet():
        model.to(torch.float16).save_pretrained(folder)
        lm.tokenizer.save_pretrained(folder)


def clone(lm: LM, name: str | None = None) -> LM:
    """A copy whose training leaves the original alone."""
    return replace(lm, name=name or lm.name, model=copy.deepcopy(lm.model))


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random draws inside come from the seed; torch's global state is afterwards as it was before.

    Except on Apple's GPU: torch seeds its generator too, and cannot set that one aside.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def with_lora(lm: LM, rank: int = 16, seed: int = SEED) -> LM:
    """A copy with LoRA adapters of the given rank on all linear layers; only they are trainable.

    Alpha is twice the rank, so that the adapters' scale does not change with the rank. The seed draws the matrices A;
    B starts at zero.
    """
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings(), seeded(seed, lm.device):
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for something by its old name
        return replace(lm, name=f"{lm.name} + LoRA", model=get_peft_model(copy.deepcopy(lm.model), config).eval())


def new_tokenizer(texts: list[str], size: int = 2048) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer in which every digit is a token of its own.

    Digits stand alone because a model that sees 12 and 120 as unrelated symbols cannot learn to add.
    Padding, end of document and end of turn are three tokens: notebook 02 shows what happens otherwise.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    special = [PADDING, DOCUMENT, START, END]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=DOCUMENT,
        eos_token=END,
        pad_token=PADDING,
        additional_special_tokens=[START],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHATML.jinja
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerBase, hidden: int = 192, layers: int = 4, seed: int = SEED) -> LM:
    """A randomly initialised Llama model (Touvron et al. 2023) for the given tokenizer."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        intermediate_size=8 * hidden // 3,
        num_attention_heads=hidden // 32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.bos_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    with seeded(seed, torch.device("cpu")):  # drawn there, the weights are the same on every machine
        model = LlamaForCausalLM(config)
    return LM("new", model.to(best_device()).eval(), tokenizer)
