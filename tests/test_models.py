"""Loading, saving and making models: the same call for every source, and a clear error for every way to fail."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    PreTrainedTokenizerFast,
)

from course import models
from course.batching import IGNORE
from course.models import (
    CHECKPOINTS,
    LM,
    CannotLoad,
    best_device,
    clone,
    embedded,
    load,
    new_model,
    precision,
    save,
    with_lora,
)
from course.rollouts import document_start, generate
from course.templates import CHATML
from course.train import chat_examples, document_examples, fit
from tests.tiny import build_model, build_tokenizer
from tools.tokenizer import new_tokenizer

IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])


@pytest.fixture(scope="module")
def lm() -> LM:
    tokenizer = build_tokenizer()
    return LM("tiny", build_model(tokenizer), tokenizer)


@pytest.fixture(scope="module")
def good(lm: LM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "good"
    save(lm, folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A whole checkpoint, to damage."""
    return Path(shutil.copytree(good, tmp_path / "copy"))


def logits(lm: LM) -> torch.Tensor:
    with torch.no_grad():
        return lm.model(IDS.to(lm.device)).logits.cpu()


# --- loading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base", "sft", "mixed"])
def test_embedded_checkpoints_load_by_name(name):
    lm = load(name, "cpu")
    assert name in embedded()
    assert (lm.name, lm.device.type, lm.model.dtype) == (name, "cpu", torch.float32)
    assert not lm.model.training
    assert lm.parameters == lm.trainable == sum(p.numel() for p in lm.model.parameters())
    special = [lm.tokenizer.bos_token, lm.tokenizer.eos_token, lm.tokenizer.pad_token]
    assert special == ["<|endoftext|>", "<|im_end|>", "<|pad|>"]
    assert lm.tokenizer.chat_template == CHATML.jinja


def test_a_folder_loads_as_what_was_saved(lm, good):
    for name in (good, str(good)):
        again = load(name, "cpu")
        assert again.name == str(good)
        assert again.tokenizer.get_vocab() == lm.tokenizer.get_vocab()
        assert torch.allclose(logits(again), logits(lm), atol=2e-3)
    assert {p.suffix for p in good.iterdir()} <= {".json", ".jinja", ".safetensors"}


def test_float16_files_change_logits_little():
    tokenizer = build_tokenizer()
    lm = new_model(tokenizer, hidden=64, layers=2, seed=3)
    again = clone(lm)
    again.model.half().float()
    assert (logits(again) - logits(lm)).abs().max() < 0.01 * logits(lm).std()


def test_saving_leaves_the_model_as_it_was(lm, tmp_path):
    before = logits(lm)
    save(lm, tmp_path / "there")
    assert lm.model.dtype == torch.float32
    assert torch.equal(logits(lm), before)


def test_a_saved_lora_model_loads_with_its_adapters_merged(lm, tmp_path):
    adapted = with_lora(lm, rank=4)
    for name, weight in adapted.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    assert not torch.allclose(logits(adapted), logits(lm), atol=1e-2)
    save(adapted, tmp_path / "merged")
    assert torch.allclose(logits(load(tmp_path / "merged", "cpu")), logits(adapted), atol=2e-3)
    assert any("lora_B" in name for name, _ in adapted.model.named_parameters())  # still apart in memory


def test_saving_shows_no_bar(lm, tmp_path, capfd):
    save(lm, tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")


# --- not loading ------------------------------------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def of_another_shape(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(7)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def another_tokenizer_model(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["type"] = "Unheard"
    (folder / "tokenizer.json").write_text(json.dumps(content))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "header cut": lambda f: rewrite(f / "model.safetensors", lambda b: b[:100]),
    "end cut": lambda f: rewrite(f / "model.safetensors", lambda b: b[:-64]),
    "no weights in the file": lambda f: rewrite(f / "model.safetensors", lambda b: b""),
    "header length flipped": lambda f: rewrite(
        f / "model.safetensors", lambda b: bytes(x ^ 0x55 for x in b[:8]) + b[8:]
    ),
    "header flipped": lambda f: rewrite(f / "model.safetensors", lambda b: b[:60] + bytes([b[60] ^ 0x10]) + b[61:]),
    "not safetensors": lambda f: rewrite(f / "model.safetensors", lambda b: b"<html>404</html>" * 50),
    "no weights file": lambda f: (f / "model.safetensors").unlink(),
    "weights as .bin": pickled,
    "a weight missing": without_a_weight,
    "a weight of another shape": of_another_shape,
    "no tokenizer": lambda f: (f / "tokenizer.json").unlink(),
    "no tokenizer at all": lambda f: [p.unlink() for p in f.glob("tokenizer*")],
    "tokenizer cut": lambda f: rewrite(f / "tokenizer.json", lambda b: b[: len(b) // 2]),
    "tokenizer of nothing": lambda f: (f / "tokenizer.json").write_text("{}"),
    "tokenizer unheard of": another_tokenizer_model,
    "tokenizer settings cut": lambda f: rewrite(f / "tokenizer_config.json", lambda b: b[:20]),
    "settings cut": lambda f: rewrite(f / "config.json", lambda b: b[: len(b) // 2]),
    "settings empty": lambda f: (f / "config.json").write_text("{}"),
    "settings of an unknown model": lambda f: (f / "config.json").write_text('{"model_type": "unheard"}'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_folder_is_named_with_the_mend(folder, damage):
    damage(folder)
    with pytest.raises(CannotLoad) as caught:
        load(folder, "cpu")
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message
    assert "Save it again with `save_pretrained`, or download it again." in message


def test_missing_weights_are_named(folder):
    without_a_weight(folder)
    with pytest.raises(CannotLoad, match=r"lacks weights: model\.layers\.1\.mlp\.up_proj\.weight"):
        load(folder, "cpu")


def test_pickled_weights_are_not_even_opened(folder):
    """A .bin file is a pickle, and a pickle can run code."""
    trap, sprung = folder / "pytorch_model.bin", folder / "sprung"
    (folder / "model.safetensors").unlink()
    code = f"import pathlib; pathlib.Path({str(sprung)!r}).touch()"
    trap.write_bytes(b"cbuiltins\nexec\n(S" + repr(code).encode() + b"\ntR.")
    with pytest.raises(CannotLoad, match=r"model\.safetensors"):
        load(folder, "cpu")
    assert not sprung.exists()


@pytest.mark.parametrize("kind", ["llama", "unheard"])
def test_code_that_came_with_a_model_is_never_run(folder, kind):
    sprung = folder / "sprung"
    (folder / "own.py").write_text(f"open({str(sprung)!r}, 'w')\nclass Model: pass\nclass Config: pass\n")
    for name, classes in (
        ("config.json", {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["own.Model", "own.Model"]}),
    ):
        content = json.loads((folder / name).read_text())
        content |= {"auto_map": classes} | ({"model_type": kind} if name == "config.json" else {})
        (folder / name).write_text(json.dumps(content))
    if kind == "llama":  # transformers knows it without that code
        assert load(folder, "cpu").parameters
    else:
        with pytest.raises(CannotLoad, match="Python code of its own"):
            load(folder, "cpu")
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["bass", "", ".", "base ", "a/b/c", "https://hub/x", "/nowhere/at/all", "tests/world"])
def test_an_unknown_name_lists_the_embedded_ones(name):
    embedded = "base, judge, mixed, reward, sft"
    with pytest.raises(
        CannotLoad, match=rf"no model {name!r}\. Embedded: {embedded}; fetched once: smollm2\. .*config\.json"
    ):
        load(name)


@pytest.mark.parametrize("name", ["HuggingFaceTB/SmolLM2-135M", "nobody/nothing", "../base", "runs/missing"])
def test_a_hub_name_without_network_names_what_needs_none(name):
    """HF_HUB_OFFLINE=1 is set for all tests."""
    said = r"could not be fetched from the hub .*need no network: base, sft, mixed, reward, judge\."
    with pytest.raises(CannotLoad, match=said):
        load(name)


def test_a_damaged_embedded_checkpoint_says_to_build_it_anew(folder, tmp_path, monkeypatch):
    folder.rename(tmp_path / "base")
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    assert load("base", "cpu").parameters
    rewrite(tmp_path / "base" / "model.safetensors", lambda b: b[:-1])
    with pytest.raises(CannotLoad, match=r"'base' is damaged or incomplete .*make checkpoints"):
        load("base", "cpu")


@pytest.mark.parametrize("name", ["base", "sft", "mixed"])
def test_a_missing_embedded_checkpoint_says_so_and_how_it_comes_back(tmp_path, monkeypatch, name):
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    (tmp_path / "sft").mkdir()  # a folder without its files
    assert embedded() == []
    said = rf"{name!r}, which comes with the course, is missing\. Reinstall .*`git checkout .*`make checkpoints`"
    with pytest.raises(CannotLoad, match=said):
        load(name)
    with pytest.raises(CannotLoad, match=r"no model 'bass'"):
        load("bass")


def test_nothing_is_printed_by_loading():
    code = "import sys; from course.models import load; load('base'); sys.stderr.write('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKPOINTS.parent.parent)
    assert (done.stdout, done.stderr) == ("", "done")


# --- folders made to harm, and saving ---------------------------------------------------------------------------------


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_weights_that_are_not_as_written_are_refused(folder):
    file = folder / "model.safetensors"
    with safetensors.safe_open(file, "pt") as opened:
        assert len(opened.metadata()["sha256"]) == 64
    whole = file.read_bytes()
    for change in (whole[: len(whole) // 2] + bytes(len(whole) // 2), whole[:-3] + b"abc"):
        file.write_bytes(change)
        with pytest.raises(CannotLoad, match=r"model\.safetensors is not as it was written"):
            load(folder, "cpu")
    file.write_bytes(whole)
    assert load(folder, "cpu").parameters
    save_file(load_file(file), file, metadata={"format": "pt"})  # written anew by a library that knows of no digest
    assert load(folder, "cpu").parameters


def test_an_index_that_leads_to_a_pickle_is_not_followed(folder):
    names = list(load_file(folder / "model.safetensors"))
    pickled(folder)
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "pytorch_model.bin")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CannotLoad, match=r"its index names 'pytorch_model\.bin', and only safetensors"):
        load(folder, "cpu")
    index["weight_map"] = dict.fromkeys(names, "../good/model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CannotLoad, match="its index names"):
        load(folder, "cpu")


def test_weights_in_several_files_are_read_through_their_index(lm, folder):
    (folder / "model.safetensors").unlink()
    lm.model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert torch.allclose(logits(load(folder, "cpu")), logits(lm), atol=2e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_hidden_layers", 200_000),
        ("hidden_size", 10**9),
        ("vocab_size", 10**10),
        ("max_position_embeddings", 10**12),
    ],
)
def test_a_configuration_larger_than_any_model_is_refused(folder, name, value):
    edit(folder / "config.json", **{name: value})
    with pytest.raises(CannotLoad, match=rf"config\.json asks for {name} = {value:,}"):
        load(folder, "cpu")


def as_int8(folder: Path) -> None:
    weights = {name: (10 * weight).to(torch.int8) for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "half its layers": (lambda f: edit(f / "config.json", num_hidden_layers=1), r"a smaller model: there is no place"),
    "no layers": (lambda f: edit(f / "config.json", num_hidden_layers=0), "asks for num_hidden_layers = 0, where 1 to"),
    "fp8": (lambda f: edit(f / "config.json", quantization_config={"quant_method": "fp8"}), "quantised.*that is not"),
    "int8": (as_int8, "quantised.*that is not"),
    "adapters beside": (lambda f: (f / "adapter_config.json").write_text("{}"), "LoRA adapters.*merge_and_unload"),
    "adapters alone": (lambda f: (f / "config.json").rename(f / "adapter_config.json"), "LoRA adapters"),
    "SentencePiece alone": (
        lambda f: (f / "tokenizer.json").rename(f / "tokenizer.model"),
        r"tokenizer without tokenizer\.json",
    ),
    "T5": (lambda f: edit(f / "config.json", model_type="t5"), "no language model that writes from left to right"),
    "end is a text": (
        lambda f: edit(f / "generation_config.json", eos_token_id="</s>"),
        "names '</s>' as eos_token_id",
    ),
    "an empty index": (
        lambda f: (pickled(f), (f / "model.safetensors.index.json").write_text("{}")),
        r"model\.safetensors\.index\.json names no files",
    ),
    "generation settings cut": (lambda f: (f / "generation_config.json").write_text("{"), "damaged or incomplete"),
}


@pytest.mark.parametrize(("change", "said"), UNFIT.values(), ids=UNFIT)
def test_a_folder_that_would_load_as_something_else_is_refused(folder, change, said):
    change(folder)
    with pytest.raises(CannotLoad, match=said):
        load(folder, "cpu")


@pytest.mark.parametrize("kind", [AutoModelForMaskedLM, AutoModelForCausalLM])
def test_a_model_that_reads_both_ways_is_refused(lm, folder, kind):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    kind.from_config(BertConfig(vocab_size=len(lm.tokenizer), **sizes)).save_pretrained(folder)
    with pytest.raises(CannotLoad, match="each of its tokens sees those after it too"):
        load(folder, "cpu")


def test_a_model_without_a_cache_is_refused(lm, folder):
    sizes = {"vocab_size": len(lm.tokenizer), "hidden_size": 32, "num_hidden_layers": 1}
    AutoModelForCausalLM.from_config(MambaConfig(**sizes)).save_pretrained(folder)
    with pytest.raises(CannotLoad, match="keeps no keys and values of what it has read: choose a transformer"):
        load(folder, "cpu")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "model.norm.weight"])
def test_a_weight_that_is_no_number_is_neither_loaded_nor_saved(lm, folder, name, value):
    broken = clone(lm)
    with torch.no_grad():
        broken.model.get_parameter(name).view(-1)[-1] = value
    with pytest.raises(OSError, match=rf"cannot be saved in .*weight {name} holds (nan|inf).*not lost; load this one"):
        save(broken, folder)
    assert load(folder, "cpu").parameters == lm.parameters
    broken.model.save_pretrained(folder)
    with pytest.raises(CannotLoad, match=rf"damaged or incomplete .the weight {name} holds (nan|inf)"):
        load(folder, "cpu")


def test_a_tokenizer_without_any_special_token_is_refused(folder):
    bpe = Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel()
    bpe.train_from_iterator(["a b"], trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    for file in [*folder.glob("tokenizer*"), *folder.glob("*.jinja")]:
        file.unlink()
    PreTrainedTokenizerFast(tokenizer_object=bpe).save_pretrained(folder)
    with pytest.raises(CannotLoad, match=r"names no special token.*tokenizer\.eos_token"):
        load(folder, "cpu")


@pytest.fixture
def hub(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The snapshot of "someone/small" in a cache as the hub's library keeps it."""
    cache = tmp_path / "hub" / "models--someone--small"
    snapshot = cache / "snapshots" / ("0" * 40)
    shutil.copytree(good, snapshot)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot


def test_a_hub_name_loads_and_is_checked_like_a_folder(lm, hub):
    again = load("someone/small", "cpu")
    assert again.name == "someone/small" and torch.allclose(logits(again), logits(lm), atol=2e-3)
    rewrite(hub / "model.safetensors", lambda b: b[:-3] + b"abc")
    with pytest.raises(CannotLoad, match=r"'someone/small' is damaged.*its digest is another"):
        load("someone/small", "cpu")
    pickled(hub)
    (hub / "model.safetensors.index.json").write_text('{"weight_map": {"a": "pytorch_model.bin"}}')
    with pytest.raises(CannotLoad, match="only safetensors"):
        load("someone/small", "cpu")


def test_a_configuration_larger_than_its_weights_is_refused(folder):
    edit(folder / "config.json", num_hidden_layers=900)
    with pytest.raises(CannotLoad, match=r"describes a model of [\d,]+ weights, and its files hold"):
        load(folder, "cpu")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
@pytest.mark.parametrize("value", ["kernels-community/flash-attn", {"": "nobody/kernel"}, "flash_attention_2"])
def test_no_code_for_attention_is_fetched(folder, monkeypatch, key, value):
    def never(*args, **kwargs):
        raise AssertionError("a kernel was asked for")

    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", never)
    monkeypatch.setattr("transformers.modeling_utils.is_kernel", lambda name: never() if "/" in str(name) else False)
    edit(folder / "config.json", **{key: value})
    assert load(folder, "cpu").model.config._attn_implementation in ("sdpa", "eager")


def test_a_weight_too_large_for_float16_is_kept_and_said(lm, tmp_path, capsys):
    large = clone(lm)
    with torch.no_grad():
        large.model.model.norm.weight[3] = 70_000.0
    save(large, tmp_path / "large")
    assert "A weight of 70,000 is too large for float16 (65,504): saved as float32" in capsys.readouterr().out
    assert torch.equal(load(tmp_path / "large", "cpu").model.model.norm.weight, large.model.model.norm.weight)


@pytest.mark.parametrize("killed", range(8))
def test_a_save_that_is_cut_off_leaves_the_old_model_or_the_new(lm, folder, monkeypatch, killed):
    """Every step on the disk is one at which the program may be killed."""
    (folder / "README.md").write_text("Mine.")
    other, calls = clone(lm), iter(range(100))
    with torch.no_grad():
        other.model.model.norm.weight.fill_(2.0)

    def dying(function: Callable) -> Callable:
        def step(*args, **kwargs):
            if next(calls) == killed:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(models, "write_digest", dying(models.write_digest))
        patched.setattr(Path, "rename", dying(Path.rename))
        patched.setattr(shutil, "rmtree", dying(shutil.rmtree))
        patched.setattr(PreTrainedTokenizerFast, "save_pretrained", dying(PreTrainedTokenizerFast.save_pretrained))
        try:
            save(other, folder)
            died = False
        except KeyboardInterrupt:
            died = True
    again = load(folder, "cpu")
    weight = again.model.model.norm.weight
    assert torch.equal(weight, torch.full_like(weight, 2.0)) or (died and torch.equal(weight, torch.ones_like(weight)))
    save(other, folder)
    assert (folder / "README.md").read_text() == "Mine."
    assert float(load(folder, "cpu").model.model.norm.weight[0]) == 2.0
    assert sorted(p.name for p in folder.parent.iterdir()) == ["copy"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("step", ["write_digest", "mkdir", "tokenizer", "rename"])
def test_a_disk_that_takes_nothing_is_said_and_the_old_model_survives(lm, folder, monkeypatch, step, number):
    def full(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    places = {
        "write_digest": (models, "write_digest"),
        "mkdir": (os, "makedirs"),
        "tokenizer": (PreTrainedTokenizerFast, "save_pretrained"),
        "rename": (Path, "rename"),
    }
    with (
        monkeypatch.context() as patched,
        pytest.raises(OSError, match=rf"saved in .*copy .*{os.strerror(number)}.*room"),
    ):
        patched.setattr(*places[step], full)
        save(lm, folder)
    assert load(folder, "cpu").parameters == lm.parameters
    assert [p.name for p in folder.parent.iterdir()] == ["copy"]


def test_files_of_another_model_do_not_stay(lm, folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "b.bin"}}')
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("Mine.")
    save(lm, folder)
    assert not (folder / "model.safetensors.index.json").exists()
    assert (folder / "notes" / "mine.txt").read_text() == "Mine."


def test_a_folder_that_holds_no_model_keeps_what_it_holds(lm, tmp_path):
    (tmp_path / "mine.txt").write_text("Mine.")
    save(lm, tmp_path)
    assert (tmp_path / "mine.txt").exists() and load(tmp_path, "cpu").parameters


# --- tokenizers from the hub ------------------------------------------------------------------------------------------

MARKERS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SMOL = {"bos_token": MARKERS[0], "eos_token": MARKERS[0], "unk_token": MARKERS[0]}  # as SmolLM2-135M
SMOL_CHAT = {"bos_token": MARKERS[1], "eos_token": MARKERS[2], "pad_token": MARKERS[2], "unk_token": MARKERS[0]}
QWEN = {"eos_token": MARKERS[0], "pad_token": MARKERS[0]}  # as Qwen2.5-0.5B
QWEN_CHAT = {"eos_token": MARKERS[2], "pad_token": MARKERS[0]}


def from_the_hub(folder: Path, named: dict[str, str], special: list[str]) -> LM:
    """A model in hub format whose tokenizer has these special tokens and gives them these names; loaded."""
    bpe = Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    bpe.train_from_iterator(["The capital of Peru is Lima."], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, **named)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(folder, "cpu")


@pytest.mark.parametrize("named", [SMOL, SMOL_CHAT, QWEN, QWEN_CHAT], ids=["Smol", "Smol chat", "Qwen", "Qwen chat"])
def test_a_model_from_the_hub_ends_its_turns_by_our_templates_token(tmp_path, named):
    lm = from_the_hub(tmp_path, named, MARKERS)
    size = len(lm.tokenizer)
    names = (lm.tokenizer.bos_token, lm.tokenizer.eos_token, lm.tokenizer.pad_token)
    assert names == ("<|endoftext|>", "<|im_end|>", "<|endoftext|>")
    assert size == lm.model.config.vocab_size  # no token was added
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Lima."}]
    (example,) = chat_examples(lm, [{"messages": chat}])
    learnt = [label for label in example["labels"] if label != IGNORE]
    assert learnt[-1] == lm.tokenizer.eos_token_id != lm.tokenizer.pad_token_id
    start = lm.tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert document_start(lm, "Lima")[0] == start
    documents = document_examples(lm, ["The capital of Peru is Lima.", "Lima"], length=4)
    assert documents[0]["input_ids"][0] == start
    assert fit(lm, [*documents, example], epochs=1).losses
    with torch.no_grad():  # a model that has learnt to end its turn, and nothing else
        lm.model.model.norm.weight.zero_()
        lm.model.lm_head = torch.nn.Linear(32, size)
        lm.model.lm_head.bias.copy_(torch.nn.functional.one_hot(torch.tensor(learnt[-1]), size) * 50.0)
    (completion,) = generate(lm, [[5]], max_new_tokens=3)
    assert (completion.token_ids, completion.stopped) == ([learnt[-1]], True)


@pytest.mark.parametrize(
    ("named", "special", "names"),
    [
        # a token that is made for padding comes first
        ({"eos_token": "</s>"}, ["</s>", "<s>", "[PAD]"], (None, "</s>", "[PAD]")),
        ({"bos_token": "<s>", "eos_token": "</s>"}, ["<s>", "</s>", "<0x>"], ("<s>", "</s>", "<s>")),
        ({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<?>"}, ["<s>", "</s>", "<?>"], ("<s>", "</s>", "<?>")),
        ({"bos_token": "<s>", "eos_token": MARKERS[0]}, ["<s>", *MARKERS], ("<s>", MARKERS[2], MARKERS[0])),
        # GPT-2: one special token, which is no end of a turn
        ({"bos_token": MARKERS[0], "eos_token": MARKERS[0]}, MARKERS[:1], (MARKERS[0],) * 3),
    ],
)
def test_other_tokenizers_keep_their_own_tokens_and_pad_by_another_if_they_have_one(tmp_path, named, special, names):
    tokenizer = from_the_hub(tmp_path, named, special).tokenizer
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == names


# --- copies and adapters ----------------------------------------------------------------------------------------------


def test_training_a_clone_leaves_the_original_alone(lm):
    before = logits(lm)
    copy = clone(lm, "copy")
    assert (copy.name, clone(lm).name, copy.tokenizer) == ("copy", "tiny", lm.tokenizer)
    with torch.no_grad():
        for weight in copy.model.parameters():
            weight.add_(0.1)
    assert torch.equal(logits(lm), before)
    assert not torch.allclose(logits(copy), before)


def test_lora_trains_its_adapters_only(lm):
    adapted = with_lora(lm, rank=4)
    assert torch.allclose(logits(adapted), logits(lm), atol=1e-6)  # B starts at zero
    names = [name for name, weight in adapted.model.named_parameters() if weight.requires_grad]
    assert names and all("lora_" in name for name in names)
    linear = [m for m in lm.model.model.modules() if isinstance(m, torch.nn.Linear)]
    assert adapted.trainable == sum(4 * (m.in_features + m.out_features) for m in linear)
    assert lm.trainable == lm.parameters == adapted.parameters - adapted.trainable
    assert not any("lora" in name for name, _ in lm.model.named_parameters())


def test_adapters_on_a_model_that_has_some_are_added_to_what_it_learnt(lm, tmp_path):
    lesson = [{"input_ids": IDS[0].tolist(), "labels": IDS[0].tolist()}] * 4
    first = with_lora(lm, rank=2)
    fit(first, lesson, epochs=1, learning_rate=1e-2)
    second = with_lora(first, rank=4)
    assert torch.allclose(logits(second), logits(first), atol=1e-5)
    fit(second, lesson, epochs=1, learning_rate=1e-2)
    assert not torch.allclose(logits(second), logits(first), atol=1e-3)
    save(second, tmp_path / "second")
    again = load(tmp_path / "second", "cpu")
    assert torch.allclose(logits(again), logits(second), atol=1e-2)


def test_one_step_of_lora_leaves_the_weights_below_alone(lm):
    adapted = with_lora(lm, rank=2)
    before = {name: weight.clone() for name, weight in adapted.model.named_parameters()}
    adapted.model(IDS, labels=IDS).loss.backward()
    torch.optim.SGD([w for w in adapted.model.parameters() if w.requires_grad], lr=1.0).step()
    changed = {name for name, weight in adapted.model.named_parameters() if not torch.equal(weight, before[name])}
    assert changed and all("lora_B" in name for name in changed)  # A's gradient is zero while B is


def test_the_seed_draws_the_adapters_and_leaves_the_global_state_alone(lm):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = with_lora(lm, rank=2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    again, other = with_lora(lm, rank=2, seed=1), with_lora(lm, rank=2, seed=2)
    drawn = [
        torch.cat([w.flatten() for n, w in one.model.named_parameters() if "lora_A" in n])
        for one in (first, again, other)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


# --- new tokenizers and models ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer():
    texts = ["The capital of Peru is Lima.", "12 + 7 = 19.", "About 34 million people live in Peru."] * 5
    return new_tokenizer(texts, size=320)


def test_every_digit_is_a_token(tokenizer):
    for number in ("19", "1234567890", "000"):
        tokens = tokenizer.encode(number, add_special_tokens=False)
        assert [tokenizer.decode([token]) for token in tokens] == list(number)
    assert not [t for t in tokenizer.get_vocab() if len(t) > 1 and any(c.isdigit() for c in t)]


def test_special_tokens_are_four_and_each_one_token(tokenizer):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
    ids = [tokenizer.encode(token, add_special_tokens=False) for token in special]
    assert all(len(one) == 1 for one in ids)
    assert len({one[0] for one in ids}) == 4
    assert set(tokenizer.all_special_tokens) == set(special)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (special[0], special[2], special[3])


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60) | st.sampled_from(["  a  b ", "\n\n\t", "1 2  3", "don't .", "<|im_end|>", "é😀漢"]))
def test_any_text_comes_back_from_its_tokens(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_a_tokenizer_survives_saving(tokenizer, tmp_path):
    save(new_model(tokenizer, hidden=32, layers=1), tmp_path / "new")
    again = load(tmp_path / "new", "cpu").tokenizer
    text = "What is 12 + 7?\n  <|im_end|>"
    assert again.encode(text) == tokenizer.encode(text)
    assert again.encode(text, split_special_tokens=True) == tokenizer.encode(text, split_special_tokens=True)
    assert again.chat_template == tokenizer.chat_template


def test_a_new_model_is_the_seeds(tokenizer):
    before = torch.get_rng_state()
    one, same, other = (new_model(tokenizer, hidden=32, layers=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(logits(one), logits(same))
    assert not torch.allclose(logits(one), logits(other))
    assert one.model.config.tie_word_embeddings
    assert one.model.config.vocab_size == len(tokenizer)


# --- device and precision ---------------------------------------------------------------------------------------------


def test_the_device_is_one_that_is_there():
    assert torch.zeros(1, device=best_device()).sum() == 0
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert best_device().type == "cpu"


def test_on_the_processor_all_is_float32(lm):
    with precision(torch.device("cpu")):
        assert lm.model(IDS).logits.dtype == torch.float32
