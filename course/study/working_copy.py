"""`python -m course copy`: the notebooks in a folder of the learner's own, so that an update never meets their changes.

Serves every lesson. JupyterLab saves what one looks at, and git refuses to update files that were changed. So `make
lab` opens copies in `my_notebooks/`, which git ignores. Which notebook was copied in which state is noted in a file
beside them.
"""

import json
import os
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "my_notebooks"
NOTE = ".copied.json"


def refresh(source: Path = ROOT / "notebooks", target: Path = ROOT / FOLDER) -> list[str]:
    """Copies every notebook that is missing, and brings those that were not changed up to date.

    A notebook that the learner changed is left alone; if it was updated since it was copied, the new one is put
    beside it, under a name that ends in `_new`.

    Args:
        source: the folder of the notebooks as they were published.
        target: the folder of the copies; made when it is missing.
    Returns:
        A sentence for each notebook of which there is something to say.
    Raises:
        FileNotFoundError: there is no notebook in `source`.
        OSError: the copies cannot be written.
    """
    published = sorted(filter(Path.is_file, source.glob("*.ipynb")))
    if not published:
        raise FileNotFoundError(f"There are no notebooks in {source}. Run this in a clone of the course.")
    target.mkdir(parents=True, exist_ok=True)
    copied = _copied(target)
    said = []
    for path in published:
        new = path.read_bytes()
        mine = target / path.name
        if _untouched(mine, copied):
            if mine.exists() and mine.read_bytes() != new:
                said.append(f"{path.name} was brought up to date.")
            _write(mine, new, copied)
        elif copied.get(path.name) != _digest(new) and not (mine.is_file() and mine.read_bytes() == new):
            beside = _free_name(mine, copied)
            _write(beside, new, copied)
            said.append(f"{path.name} is yours, with your changes. The course's new version is {beside.name}.")
        copied[path.name] = _digest(new)
    note = json.dumps(copied, indent=1, sort_keys=True)
    _replace(target / NOTE, note.encode())
    return said


def _untouched(mine: Path, copied: dict[str, str]) -> bool:
    return not os.path.lexists(mine) or (mine.is_file() and copied.get(mine.name) == _digest(mine.read_bytes()))


def _free_name(mine: Path, copied: dict[str, str]) -> Path:
    """`03_sft_new.ipynb`, or with a number where the learner has changed that one too."""
    n = 1
    while not _untouched(beside := mine.with_stem(f"{mine.stem}_new{n if n > 1 else ''}"), copied):
        n += 1
    return beside


def _write(path: Path, content: bytes, copied: dict[str, str]) -> None:
    if not path.exists() or path.read_bytes() != content:
        _replace(path, content)
    copied[path.name] = _digest(content)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")  # a kill leaves this one, and never half a notebook
    part.write_bytes(content)
    part.replace(path)


def _copied(target: Path) -> dict[str, str]:
    """The digest of each notebook as it was copied. Without a note that can be read, all count as changed."""
    try:
        found = json.loads((target / NOTE).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in found.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
