"""The ranges, the pins, what conda and Binder read, the wheel, and the direction of imports agree with each other."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from nbformat import v4
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT
from tools import notebooks
from tools.notebook_form import FOLDER, code_cells

with (ROOT / "pyproject.toml").open("rb") as file:
    PROJECT = tomllib.load(file)["project"]
NEEDED = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["dependencies"])}
EXTRAS = {name: list(map(Requirement, listed)) for name, listed in PROJECT["optional-dependencies"].items()}
COLAB = {
    "anywidget": "0.9.21",
    "ipywidgets": "7.7.1",
    "numpy": "2.1.3",
    "peft": "0.20.0",
    "plotly": "5.24.1",
    "torch": "2.11.0",
    "transformers": "5.15.0",
}
CUDA = ("nvidia-", "cuda-", "triton")


def lines(path: Path) -> list[str]:
    """The lines of a requirements file that ask for something."""
    text = [line.strip() for line in path.read_text("utf-8").splitlines()]
    return [line for line in text if line and not line.startswith("#")]


def pins(path: Path) -> dict[str, Version]:
    """Name to version; any line that is neither an option nor `name==version` fails, and so does a second pin."""
    split = [line.split("==") for line in lines(path) if not line.startswith("-")]
    named = {canonicalize_name(name): Version(version) for name, version in split}
    assert len(named) == len(split)
    return named


PINS = pins(ROOT / "constraints.txt")


@pytest.mark.parametrize("requirement", [*NEEDED.values(), *EXTRAS["lab"], *EXTRAS["dev"]], ids=str)
def test_every_direct_need_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("name", COLAB)
def test_the_ranges_admit_what_colab_has(name: str) -> None:
    assert COLAB[name] in NEEDED[name].specifier


def installed_for(requirement: Requirement, seen: set[str]) -> None:
    """Add to `seen` the names of all that this machine needs for the requirement."""
    name = canonicalize_name(requirement.name)
    if name in seen or name.startswith(CUDA):  # torch pins its CUDA packages itself
        return
    seen.add(name)
    for text in importlib.metadata.requires(name) or []:
        child = Requirement(text)
        environments = [{"extra": extra} for extra in ("", *requirement.extras)]
        if child.marker is None or any(child.marker.evaluate(one) for one in environments):
            installed_for(child, seen)


@pytest.mark.skipif(sys.platform != "linux", reason="the pinned set is the one for Linux")
def test_nothing_that_gets_installed_is_left_unpinned() -> None:
    seen: set[str] = set()
    for requirement in [*NEEDED.values(), *EXTRAS["lab"], *EXTRAS["dev"]]:
        installed_for(requirement, seen)
    assert len(seen) > len(NEEDED)
    assert seen - PINS.keys() == set()


def test_pins_name_no_local_build() -> None:
    assert [name for name, version in PINS.items() if version.local] == []


def test_the_lock_has_hashes_of_all_that_is_pinned_but_torch() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", "")
    locked = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            requirement, *hashes = line.split()
            name, version = requirement.split("==")
            locked[canonicalize_name(name)] = Version(version)
            assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), line
    assert locked == {name: version for name, version in PINS.items() if name != "torch"}


def test_make_installs_by_the_lock_and_builds_the_course_with_what_it_brought() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    first, second = re.findall(r"^\t\$\(BIN\)/python -m pip install (.*)$", makefile, re.M)
    assert first == "--no-deps --require-hashes -r requirements.lock"
    assert second == f'--no-build-isolation -c constraints.txt -e ".[{",".join(EXTRAS)}]"'
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    assert {canonicalize_name(Requirement(one).name) for one in build} | {"editables"} <= PINS.keys()


def test_conda_gets_a_python_in_range_and_the_pinned_packages() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    python, pip, packages = environment["dependencies"]
    assert Version(python.removeprefix("python=")) in SpecifierSet(PROJECT["requires-python"])
    assert pip == "pip"
    assert packages["pip"] == ["--constraint constraints.txt", f"--editable .[{','.join(EXTRAS)}]"]


def test_binder_gets_the_pinned_versions_of_all_that_it_does_not_bring() -> None:
    binder = pins(ROOT / "binder" / "requirements.txt")
    brought = {"ipywidgets"}
    assert binder.keys() == NEEDED.keys() - brought
    assert {name: version.public for name, version in binder.items()} == {n: str(PINS[n]) for n in binder}
    assert binder["torch"].local == "cpu"


def test_binder_installs_what_is_heavy_before_it_copies_the_repository() -> None:
    # One name of a file there, and every change of a lesson would install torch again.
    options = [line for line in lines(ROOT / "binder" / "requirements.txt") if line.startswith("-")]
    assert [option.split()[0] for option in options] == ["--extra-index-url"]
    assert "pip install --no-cache-dir --no-deps -e ." in (ROOT / "binder" / "postBuild").read_text("utf-8")
    assert (ROOT / "binder" / "start").read_text("utf-8").rstrip().endswith('exec "$@"')
    python = (ROOT / "binder" / "runtime.txt").read_text("utf-8").strip().removeprefix("python-")
    assert Version(python) in SpecifierSet(PROJECT["requires-python"])
    assert not (ROOT / ".binder").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*command, "-w", folder, ROOT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def of_package() -> Iterator[Path]:
    """The files that belong to the package, caches left out, as paths in the repository."""
    for folder in ("course", "quizzes"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and ".ipynb_checkpoints" not in path.parts:
                yield path.relative_to(ROOT)


def test_the_wheel_carries_the_package_with_checkpoints_pages_and_quizzes_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {path.as_posix() if path.parts[0] == "course" else f"course/{path.as_posix()}" for path in of_package()}
    assert inside == wanted
    assert "course/quizzes/practice.yaml" in inside
    assert any(name.startswith("course/study/static/") for name in inside)
    assert any(re.fullmatch(r"course/checkpoints/base/.*\.safetensors", name) for name in inside)


def test_the_wheel_carries_both_licences(wheel: Path) -> None:
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" in name}
    assert {"LICENSE", "LICENSE-TEXT"} <= names


NO_NETWORK = """
import socket


def refuse(*_):
    raise OSError("this test has no network")


socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def test_a_notebook_begins_and_asks_from_the_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", site, wheel]
    subprocess.run(command, check=True)
    setup = code_cells(notebooks.read(FOLDER / "01_base_model.ipynb"))[0].source
    cells = [NO_NETWORK, setup, 'quiz("01")', "import course.study.content\n\nprint(course.study.content.FOLDER)"]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    env = notebooks.environment(tmp_path / "home", seed=0) | {"PYTHONPATH": str(site)}
    notebooks.execute(notebook, elsewhere, env)
    assert "The base model" in notebook.cells[2].outputs[0].data["text/plain"]
    assert notebook.cells[2].outputs[0].data["text/html"].count("<details>") > 1
    assert notebook.cells[3].outputs[0].text.strip() == str(site / "course" / "quizzes")


TORCHLESS = ("", ".claims", ".experiments.store", ".feedback", ".formats", ".show", ".study", ".templates", ".world")


@pytest.mark.parametrize("module", [f"course{name}" for name in TORCHLESS])
def test_importing_takes_no_torch_with_it(module: str) -> None:
    program = f"import sys, {module}; print(sorted(sys.modules.keys() & {{'torch', 'transformers', 'plotly'}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def imports(path: Path) -> set[str]:
    """The modules that a file of the package imports anywhere, with relative ones written out."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *filter(None, [node.module])])
            found |= {start} | {f"{start}.{alias.name}" for alias in node.names}
    return found


def top(name: str) -> str:
    """`course.study` for `course.study.quiz`: the unit in which the rules are stated."""
    return ".".join(name.split(".")[:2])


SOURCES = sorted((ROOT / "course").rglob("*.py"))


def unit(path: Path) -> str:
    return top(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


ORDER = """
threads numerics text stops batching world
formats jinja_trial jinja templates losses show
claims plots
feedback resume weights smollm2 models capacity train rollouts evaluation
rewards preferences rl best_of_n ai_feedback
experiments exercises study __main__
"""
LAYERS = [f"course.{name}" for name in ORDER.split()]
"""From the bottom to the top: a module imports only from those before its own. A new one is put where it belongs."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_an_import_points_down_the_layers(path: Path) -> None:
    names, here = imports(path), unit(path)
    outside = {name.split(".")[0] for name in names}
    own = {top(name) for name in names if name.startswith("course.")} - {here}
    used = own & set(map(unit, SOURCES))
    if here != "course":  # the package itself, which settles threads and seed before anything else
        assert here in LAYERS, f"put {here} into ORDER in tests/test_packaging.py, after all that it imports"
        above = used - set(LAYERS[: LAYERS.index(here)])
        assert not above, f"{here} imports from {sorted(above)}, which is no lower layer"
    if here in ("course.losses", "course.batching"):
        assert own <= {"course.batching", "course.numerics"}, "losses and batching know tensors only"
        assert not outside & {"transformers", "trl", "ipywidgets", "anywidget", "plotly"}
    if here == "course.study":
        assert "torch" not in outside and "transformers" not in outside


def test_the_layers_name_what_there_is_and_the_tops_are_no_library() -> None:
    assert len(LAYERS) == len(set(LAYERS)) and set(LAYERS) == set(map(unit, SOURCES)) - {"course"}
    assert LAYERS[-4:] == ["course.experiments", "course.exercises", "course.study", "course.__main__"]


@pytest.mark.parametrize("path", notebooks.find([]), ids=lambda path: path.stem)
def test_a_notebook_takes_its_code_from_the_package_only(path: Path) -> None:
    assert not list(FOLDER.rglob("*.py")), "what notebooks share belongs into the package"
    code = "\n".join(cell.source for cell in code_cells(notebooks.read(path)))
    others = [other.stem for other in notebooks.find([])] + ["%run", "import_ipynb", "importnb"]
    assert [name for name in others if name in code] == []


# Modules without a test file of their own, and the one that tests them: it makes what they are tried on.
TESTED_WITH = {
    "experiments/real/judge": "experiments/real/start",
    "formats/problems": "formats/records",
    "formats/whole": "formats/records",
    "jinja": "templates",
    "jinja_trial": "templates",
    "preferences/library": "experiments/dpo_family",
    "preferences/methods": "preferences/fit",
    "rl/settings": "rl/loop",
    "study/yaml_lines": "study/content",
    "weights": "models",
    "__main__": "study/export",
}
OF_THE_WHOLE = {
    "checkpoints",
    "docstrings",
    "exercises/attempts",
    "foreign_models",
    "lesson_00",
    "notebooks",
    "packaging",
    "pages",
    "real_model",
    "tools/help",
}


def modules(folder: Path) -> set[str]:
    """The modules of a folder that hold a function or a class."""
    return {
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*.py")
        if any(isinstance(one, ast.FunctionDef | ast.ClassDef) for one in ast.parse(path.read_text("utf-8")).body)
        and path.stem != "__init__"
    }


def test_the_tests_mirror_the_package() -> None:
    package = modules(ROOT / "course")
    named = package | {f"tools/{name}" for name in modules(ROOT / "tools")}
    tested = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        file = path.relative_to(ROOT / "tests").with_suffix("").as_posix().replace("test_", "", 1)
        if not file.startswith("browser/") and file not in OF_THE_WHOLE:
            # test_fit.py and test_fit_as_trl.py both belong to fit.py
            owners = [name for name in named if file == name or file.startswith(f"{name}_")]
            assert owners, f"tests/{file} is named after no module: rename it, or list {file!r} in OF_THE_WHOLE"
            tested.add(max(owners, key=len))
    for name in sorted(package - tested - TESTED_WITH.keys()):
        folder, _, module = f"tests/{name}".rpartition("/")
        pytest.fail(f"course/{name}.py has no tests: add {folder}/test_{module}.py")
    done = TESTED_WITH.keys() - (package - tested)
    assert not done, f"{sorted(done)}: there are tests of their own, or no such modules; take them out of TESTED_WITH"
    assert set(TESTED_WITH.values()) <= tested
