"""Loading and making the course's models: one call for embedded checkpoints, folders and the hub.

Serves every lesson. Weights are read as safetensors only and no remote code is ever run. Models are held in float32;
training and sampling run under autocast where the device has bfloat16 (`precision`). LoRA (Hu et al. 2021) is PEFT's.
"""

import contextlib
import copy
import math
import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from course import SEED
from course.formats import Message
from course.numerics import tied
from course.smollm2 import PACKAGED, CannotFetch, fetched, first_line, is_kept, remove
from course.templates import CHATML, DOCUMENT, END, START, Encoded, Template, template_of
from course.text import half_character
from course.weights import FETCHED, Unfit, check_weights, quiet, sound_config, write_digest

CHECKPOINTS = Path(__file__).parent / "checkpoints"

SHIPPED = ("base", "sft", "mixed", "reward", "judge")


class CannotLoad(RuntimeError):
    """A model could not be loaded; the message says what was wrong and what to do."""


@dataclass(frozen=True)
class Pretrained:
    """A model of transformers in evaluation mode, its tokenizer and its chat template, which belong together.

    `name` is what it was loaded as; `template` is the tokenizer's if not given, ChatML if that has none.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template: Template = None  # type: ignore[assignment] (set below)

    def __post_init__(self) -> None:
        if self.template is None:
            object.__setattr__(self, "template", template_of(self.tokenizer))

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

    @property
    def context(self) -> int | None:
        """The most tokens that the model can read at once; None where its configuration names no limit (BLOOM)."""
        return getattr(self.model.config, "max_position_embeddings", None)

    def fits(self, tokens: int) -> bool:
        """Whether so many tokens fit into the model's context."""
        return self.context is None or tokens <= self.context

    def encode(self, messages: Sequence[Message], add_generation_prompt: bool = False, given: int = 0) -> Encoded:
        """A conversation in the model's template; raises ValueError as `Template.encode` and `check_tokens` do."""
        encoded = self.template.encode(self.tokenizer, messages, add_generation_prompt, given)
        self.check_tokens(encoded.input_ids)
        return encoded

    def check_tokens(self, ids: Sequence[int]) -> None:
        """Raise ValueError if a token has no embedding, as when it was added to the tokenizer alone."""
        rows = self.model.get_input_embeddings().num_embeddings
        if ids and min(ids) < 0:
            raise ValueError(f"{min(ids)} is the number of no token.")
        if ids and max(ids) >= rows:
            token = self.tokenizer.convert_ids_to_tokens(max(ids))
            what = f"Token {max(ids)} ({token!r}) has no place in the model's embedding of {rows} tokens"
            raise Unfit(f"{what}. Enlarge it with `model.resize_token_embeddings(len(tokenizer))`.")


@dataclass(frozen=True)
class LM(Pretrained):
    """A causal language model with its tokenizer and its chat template."""

    def ends(self, honour_turns: bool = True) -> list[int]:
        """The tokens that end an answer, or only a document, by generation settings, tokenizer and template."""
        tokenizer, own = self.tokenizer, self.model.generation_config.eos_token_id
        turns = {tokenizer.eos_token_id}
        if (end := self.template.end) in tokenizer.get_vocab():
            turns.add(tokenizer.convert_tokens_to_ids(end))
        document = {tokenizer.bos_token_id} if tokenizer.bos_token == DOCUMENT else set()
        found = {*(own if isinstance(own, list) else [own]), *document, *turns}
        return sorted(found - {None} - (set() if honour_turns else turns - document))


def require_list(values: Any, name: str) -> None:
    """Raise ValueError for a single text, record or table, and for half of a character, which no tokenizer takes."""
    if isinstance(values, str | bytes | dict):
        kind = "record" if isinstance(values, dict) else "text"
        raise ValueError(f"{name} is one {kind} where a list is asked: put it in brackets, {name}=[...].")
    if hasattr(values, "iloc"):
        what = f"{name} is a {type(values).__name__} where a list is asked"
        raise ValueError(f"{what}: read it with load_records, or .tolist().")
    for i, value in enumerate(values if isinstance(values, list | tuple) else ()):
        if isinstance(value, str) and (half := half_character(value)):
            raise ValueError(f"{name}[{i}] holds half of a character ({half}): write the whole one.")


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether it is an Nvidia or AMD GPU that computes in bfloat16 in hardware."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def precision(device: torch.device) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where the device has it in hardware; full float32 elsewhere.

    So an older GPU, such as the T4, computes in float32. It has float16, whose largest number is 65,504 and whose
    smallest 6e-8: gradients vanish unless the loss is scaled, and a step whose gradient overflows has to be skipped
    (Micikevicius et al. 2018). Then a run would depend on the machine in more than rounding.
    """
    return torch.autocast("cuda", torch.bfloat16) if has_bf16(device) else contextlib.nullcontext()


def embedded() -> list[str]:
    """Names of the checkpoints that came with the package."""
    return sorted(folder.name for folder in CHECKPOINTS.glob("*") if (folder / "config.json").exists())


def load(name: str | Path, device: torch.device | str | None = None) -> LM:
    """Load a model and its tokenizer.

    A model without a chat template gets ChatML, and where its tokenizer has these tokens, `<|im_end|>` becomes its end
    and `<|endoftext|>` its document start if it has none. Any model's padding is a token other than the end, if there
    is one. No token is added: a tokenizer with a single special token, like GPT-2's, keeps it for everything.

    Args:
        name: an embedded checkpoint ("base", "sft"), "smollm2", a real model that is fetched once (`course.smollm2`),
            a folder in the hub's format, or a name on the hub.
        device: where to put it; the best one present if not given.
    Raises:
        CannotLoad: no such name, no network, or damaged files. The message names the mend.
    """
    return LM(str(name), *open_checkpoint(name, AutoModelForCausalLM, device))


def open_checkpoint(
    name: str | Path,
    kind: type[AutoModelForCausalLM | AutoModelForSequenceClassification],
    device: torch.device | str | None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Template]:
    """What `load` and `course.rewards.load_reward` share: the model, in evaluation mode, its tokenizer and template.

    Raises:
        CannotLoad: as `load`; also when the checkpoint is of the other kind.
    """
    folder = CHECKPOINTS / str(name) if str(name) in embedded() else Path(name)
    was_kept = False
    if str(name) in PACKAGED and not folder.exists():
        was_kept = is_kept(str(name))
        try:
            folder = fetched(str(name))
        except CannotFetch as error:
            raise CannotLoad(str(error)) from error
    _finish_swap(folder)
    local = (folder / "config.json").exists() or (folder / "adapter_config.json").exists()
    if not local and str(name) in SHIPPED:
        raise CannotLoad(f"The checkpoint {str(name)!r}, which comes with the course, is missing. {_mend(str(name))}")
    if not local and (folder.exists() or str(name).count("/") != 1):
        known = f"Embedded: {', '.join(embedded())}; fetched once: {', '.join(PACKAGED)}"
        what = f"There is no model {str(name)!r}. {known}. Otherwise give a folder that holds"
        hub = "or a hub name such as 'HuggingFaceTB/SmolLM2-135M'"
        raise CannotLoad(f"{what} config.json, model.safetensors and tokenizer.json, {hub}.")
    try:
        with quiet():
            if not local:  # what is checked of a folder is checked of what the hub sends, before it is opened
                folder = Path(snapshot_download(str(name), allow_patterns=FETCHED))
            config = sound_config(folder)
            scores = "ForSequenceClassification" in "".join(config.architectures or [])
            if scores and kind is AutoModelForCausalLM:
                raise Unfit("it gives scores and writes nothing: load it with course.rewards.load_reward")
            if not scores and kind is AutoModelForSequenceClassification:
                raise Unfit("it is a language model without scores: train one made by course.rewards.new_reward_model")
            check_weights(folder, config, kind)
            tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
            how = {"dtype": torch.float32, "use_safetensors": True, "trust_remote_code": False}
            model, report = kind.from_pretrained(str(folder), config=config, output_loading_info=True, **how)
            template = template_of(tokenizer)
            _check_loaded(model.eval(), report)
            Pretrained(str(name), model, tokenizer, template).check_tokens(list(tokenizer.get_vocab().values()))
            _name_special_tokens(tokenizer, template)
    except Exception as error:  # of many kinds: tokenizers, for one, raises nothing more special
        damaged = isinstance(error, ValueError | OSError) and not isinstance(error, Unfit)
        if was_kept and damaged and getattr(error, "errno", None) is None:  # with a number it is the system's fault
            print(f"What is kept of {str(name)!r} in {folder} is damaged ({first_line(error)}): it is fetched anew.")
            remove(str(name))
            return open_checkpoint(name, kind, device)
        raise CannotLoad(_why_not(str(name), folder.exists(), error)) from error
    return model.to(device or best_device()).eval(), tokenizer, template


def _check_loaded(model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Raise ValueError if a weight is missing or no number, or a token sees those after it, as BERT's do."""
    if absent := sorted(set(report["missing_keys"]) - set(model.all_tied_weights_keys)):
        raise ValueError(f"it lacks weights: {', '.join(absent[:3])}")
    known = {re.sub(r"[0-9]+", "#", key) for key in model.state_dict()}
    if over := [key for key in sorted(report["unexpected_keys"]) if re.sub(r"[0-9]+", "#", key) in known]:
        raise ValueError(f"config.json describes a smaller model: there is no place for {over[0]}")
    _largest(model)
    with torch.no_grad():
        read = model.base_model(input_ids=torch.tensor([[0, 1], [0, 2]]), use_cache=True)
    if "last_hidden_state" in read and not tied(*read.last_hidden_state[:, 0]).all():
        raise Unfit("each of its tokens sees those after it too: choose a causal language model")
    if "last_hidden_state" not in read or read.get("past_key_values") is None:
        raise Unfit("it keeps no keys and values of what it has read: choose a transformer, such as llama or qwen2")


def _largest(model: PreTrainedModel) -> float:
    """The size of the largest weight; raises ValueError if one is not finite."""
    sizes = {name: float(p.detach().abs().max()) for name, p in model.named_parameters() if p.numel()}
    if bad := next((name for name, size in sizes.items() if not math.isfinite(size)), None):
        raise ValueError(f"the weight {bad} holds {sizes[bad]}")
    return max(sizes.values(), default=0.0)


def _name_special_tokens(tokenizer: PreTrainedTokenizerBase, template: Template) -> None:
    vocabulary = tokenizer.get_vocab()
    if template is CHATML and END in vocabulary:
        tokenizer.eos_token = END
    if template is CHATML and DOCUMENT in vocabulary and tokenizer.bos_token in (None, START):
        tokenizer.bos_token = DOCUMENT
    end = template.end if template.end in vocabulary else tokenizer.eos_token
    if tokenizer.pad_token in (None, end):
        special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        # Best one that is made for padding, then one that stands outside of turns.
        wanted = [*(t for t in special if "pad" in t.lower()), DOCUMENT, tokenizer.unk_token, tokenizer.bos_token]
        others = [t for t in [*wanted, *special] if t in special and t not in (START, end)]
        tokenizer.pad_token = others[0] if others else end
    if tokenizer.pad_token_id is None:
        mend = "set one that the model knows, as in `tokenizer.eos_token = '</s>'`, and save it again"
        raise Unfit(f"its tokenizer names no special token to end a text or pad it: {mend}")


def _mend(name: str) -> str:
    if name in SHIPPED:
        again = "`git checkout -- course/checkpoints` fetches it back and `make checkpoints` builds it anew"
        return f"Reinstall the package; in a checkout, {again}."
    return "Save it again with `save_pretrained`, or download it again."


def _why_not(name: str, local: bool, error: Exception) -> str:
    first = first_line(error)
    if "custom code" in first:
        return f"{name!r} would have to run Python code of its own to load, and this course never does. Choose another."
    if "Unrecognized configuration class" in first:
        return f"{name!r} is no language model that writes from left to right, as those of this course do. Choose one."
    if "tiktoken" in first or "sentencepiece" in first.lower():
        return f"{name!r} has a tokenizer without tokenizer.json, which this course reads: choose one that has it."
    if isinstance(error, Unfit):
        return f"{name!r} cannot be used here: {first.removesuffix('.')}."
    if local:
        return f"The checkpoint {name!r} is damaged or incomplete ({first}). {_mend(name)}"
    mend = f"Check the name and the network. These need no network: {', '.join(SHIPPED)}."
    return f"{name!r} could not be fetched from the hub ({first}). {mend}"


def save(lm: Pretrained, folder: Path | str) -> None:
    """Write a model and its tokenizer in the hub's format, as safetensors with a digest that `load` compares.

    Weights are written as float16, which halves the file; if one is too large for that (65,504), as float32, and a
    line says so. LoRA adapters are merged into the weights they adapt.

    A folder that holds a model is replaced as a whole, even if the program is killed. Its other files stay.

    Raises:
        OSError: it cannot be written, or a weight is not finite; a model that was in the folder still is.
    """
    folder = Path(folder).resolve()
    new = _beside(folder, "new")
    try:
        _write(lm, folder, new)
    except Exception as error:  # of many kinds: tokenizers, for one, raises nothing more special
        shutil.rmtree(new, ignore_errors=True)
        what = f"The model cannot be saved in {folder} ({error}). A model that was there before is not lost"
        mend = "load this one again" if isinstance(error, ValueError) else "make room, or name another folder"
        raise OSError(f"{what}; {mend}.") from error


def _write(lm: Pretrained, folder: Path, new: Path) -> None:
    model = merged(lm)
    most, largest = torch.finfo(torch.float16).max, _largest(model)
    if largest > most:
        print(f"A weight of {largest:,.0f} is too large for float16 ({most:,.0f}): saved as float32, twice the size.")
    _finish_swap(folder)
    shutil.rmtree(new, ignore_errors=True)
    if isinstance(lm, LM):
        model.generation_config.eos_token_id = lm.ends()
    with quiet():
        model.to(torch.float32 if largest > most else torch.float16).save_pretrained(new)
        tokenizer = copy.copy(lm.tokenizer)
        if lm.template.jinja != template_of(tokenizer).jinja:  # it was given to the model
            tokenizer.chat_template = lm.template.jinja
        tokenizer.save_pretrained(new)
    for file in new.glob("*.safetensors"):
        write_digest(file)
    if (folder / "config.json").exists():
        folder.rename(_beside(folder, "old"))
    if folder.exists():  # it holds no model yet, and becomes one with its last file
        for file in sorted(new.iterdir(), key=lambda file: file.name == "config.json"):
            file.replace(folder / file.name)
        new.rmdir()
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new.rename(folder)
    _finish_swap(folder)


_OF_A_MODEL = (
    *("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "config.json", "adapter_config.json"),
    *("generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*"),
    *("vocab.*", "merges.txt", "spiece.model"),
)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{what}")


def _finish_swap(folder: Path) -> None:
    """End what a `save` began that was cut off: the old model comes back, or what else its folder held."""
    if not folder.name or not (old := _beside(folder, "old")).exists():
        return
    if not folder.exists():
        old.rename(folder)
        return
    for file in old.iterdir():
        if not any(map(file.match, _OF_A_MODEL)) and not (folder / file.name).exists():
            file.rename(folder / file.name)
    shutil.rmtree(old)


def merged(lm: Pretrained) -> PreTrainedModel:
    """A copy of the model, its LoRA adapters merged into the weights that they adapt."""
    model = copy.deepcopy(lm.model)
    if isinstance(model, PeftModel):
        return model.merge_and_unload()
    for name, layer in [*model.named_modules()]:
        if isinstance(layer, BaseTunerLayer):  # from `add_lora`
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
    return model


def clone(lm: LM, name: str | None = None) -> LM:
    """A copy whose training leaves the original alone."""
    return replace(lm, name=name or lm.name, model=copy.deepcopy(lm.model))


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random draws inside come from the seed; afterwards torch's state is as before, except on Apple's GPU."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def with_lora(lm: LM, rank: int = 16, seed: int = SEED) -> LM:
    """A copy with LoRA adapters of the given rank on all linear layers; only they are trainable. Older ones are merged.

    Alpha is twice the rank, so that their scale does not change with it. The seed draws the matrices A; B starts at 0.
    """
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings(), seeded(seed, lm.device):
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for something by its old name
        return replace(lm, name=f"{lm.name} + LoRA", model=get_peft_model(merged(lm), config).eval())


def add_lora(trunk: PreTrainedModel, rank: int = 16, seed: int = SEED) -> None:
    """Put adapters as those of `with_lora` into a transformer without a language head; of it, only they are trainable.

    For reward and value models too large to train all of their weights; their heads stay as they are.
    """
    with seeded(seed, trunk.device):
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), trunk)


def new_model(tokenizer: PreTrainedTokenizerBase, hidden: int = 192, layers: int = 4, seed: int = SEED) -> LM:
    """A randomly initialised Llama model (Touvron et al. 2023) for the given tokenizer."""
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    tokens = {"bos_token_id": start, "eos_token_id": [end, start], "pad_token_id": tokenizer.pad_token_id}
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "max_position_embeddings": 512}
    sizes |= {"intermediate_size": 8 * hidden // 3, "num_attention_heads": hidden // 32, "vocab_size": len(tokenizer)}
    config = LlamaConfig(tie_word_embeddings=True, **sizes, **tokens)
    with seeded(seed, torch.device("cpu")):  # drawn there, the weights are the same on every machine
        model = LlamaForCausalLM(config)
    return LM("new", model.to(best_device()).eval(), tokenizer)
