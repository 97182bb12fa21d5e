"""What a folder of a model must be before anything of it is opened: plain weights, as written, and no more than said.

Serves `course.models`. Weights are read as safetensors only, and no remote code is ever run.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils import logging as transformers_logging

LIMITS = {
    **{"num_hidden_layers": (1, 1000), "hidden_size": (1, 2**17), "intermediate_size": (1, 2**20)},
    **{"vocab_size": (1, 2**22), "max_position_embeddings": (1, 2**24)},
    **{"num_attention_heads": (1, 2**12), "num_local_experts": (0, 2**12)},
}
"""The least and the most that a configuration may hold; the largest models of today stay well below."""

FETCHED = ["*.json", "*.jinja", "model*.safetensors", "*.model", "merges.txt", "vocab.txt"]
"""What is fetched of a model on the hub."""

DIGEST = "sha256"
_PLAIN = {"F64", "F32", "F16", "BF16"}
_QUANTISED = "its weights are quantised, and training needs them whole: choose the version that is not"


class Unfit(ValueError):
    """The model may be sound, but is none that this course can use; the message says what to do instead."""


def sound_config(folder: Path) -> PreTrainedConfig:
    """A model's configuration, without choices that could name code to be fetched or that change what it returns.

    Raises:
        ValueError: it asks for more than any model has; `Unfit`: for quantised weights, or for those of another folder.
    """
    if (folder / "adapter_config.json").exists():
        mend = "load that one, or merge the two with PEFT's `merge_and_unload` and save the result"
        raise Unfit(f"it holds LoRA adapters, and their model is elsewhere: {mend}")
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    if getattr(config, "quantization_config", None):
        raise Unfit(_QUANTISED)
    for part in {id(c): c for c in (config, config.get_text_config())}.values():
        for name, (least, most) in LIMITS.items():
            if isinstance(value := getattr(part, name, None), int) and not least <= value <= most:
                raise ValueError(f"its config.json asks for {name} = {value:,}, where {least} to {most:,} is read")
    if (settings := folder / "generation_config.json").exists():
        ends = json.loads(settings.read_text("utf-8")).get("eos_token_id")
        if not all(isinstance(end, int | None) for end in (ends if isinstance(ends, list) else [ends])):
            raise ValueError(f"its generation_config.json names {ends!r} as eos_token_id, where numbers are asked")
    config._attn_implementation = None
    config._experts_implementation = None
    config.return_dict = True
    for more in ("output_attentions", "output_hidden_states", "output_router_logits"):
        if getattr(config, more, False):
            setattr(config, more, False)
    return config


def check_weights(folder: Path, config: PreTrainedConfig, kind: type) -> None:
    """Raise ValueError unless a folder's weights are safetensors, as written, and enough for the configuration."""
    index, files = folder / "model.safetensors.index.json", [folder / "model.safetensors"]
    if not files[0].exists() and index.exists():
        names = json.loads(index.read_text("utf-8")).get("weight_map")
        if not isinstance(names, dict) or not names:
            raise ValueError(f"its {index.name} names no files")
        if other := [n for n in names.values() if not str(n).endswith(".safetensors") or Path(n).name != n]:
            raise ValueError(f"its index names {other[0]!r}, and only safetensors files of the same folder are read")
        files = [folder / name for name in sorted(set(names.values()))]
    held = plain = 0
    for file in files:
        if not file.exists():
            raise ValueError(f"there is no {file.name}")
        header, start = _header(file)
        digest = header.get("__metadata__", {}).pop(DIGEST, None)
        if digest and digest != _digest(file, header, start):
            raise ValueError(f"{file.name} is not as it was written: its digest is another")
        header.pop("__metadata__", None)
        for tensor in header.values():
            held += (size := math.prod(tensor["shape"]))
            plain += size * (tensor["dtype"] in _PLAIN)
    if 2 * plain < held:
        raise Unfit(_QUANTISED)
    with torch.device("meta"):
        wanted = sum(p.numel() for p in kind.from_config(config, trust_remote_code=False).parameters())
    if wanted > 2 * held + 2**20:
        raise ValueError(f"config.json describes a model of {wanted:,} weights, and its files hold {held:,}")


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's header, and at which byte its numbers start."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 0 < length <= file.stat().st_size - 8:
            raise ValueError(f"{file.name} is cut or no safetensors file")
        return json.loads(opened.read(length)), 8 + length


def _digest(file: Path, header: dict[str, Any], start: int) -> str:
    """SHA-256 of the header, its own entry left out, and of the numbers."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    with file.open("rb") as opened:
        opened.seek(start)
        while part := opened.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def write_digest(file: Path) -> None:
    """Put a digest into a safetensors file's header, so that a change of its bytes is found when it is loaded."""
    header, start = _header(file)
    header["__metadata__"] = {k: v for k, v in header.get("__metadata__", {}).items() if k != DIGEST}
    header["__metadata__"][DIGEST] = _digest(file, header, start)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    new = file.with_name(f"{file.name}.new")
    with file.open("rb") as old, new.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        old.seek(start)
        shutil.copyfileobj(old, opened)
    new.replace(file)


@contextmanager
def quiet() -> Iterator[None]:
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
