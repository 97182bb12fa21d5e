"""README, CONTRIBUTING and the docstrings of modules name what there is."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import notebooks
from tools.notebook_form import project_url

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile"]
SOURCES = [path for folder in ("course", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
EXAMPLES = {"course/study/mood.py"}  # a file that the reader of `StudyWidget` writes


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES[:2], ids=name_of)
def test_pages_name_the_address_that_the_project_defines(page: Path) -> None:
    text = page.read_text("utf-8")
    named = re.findall(r"github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?(?=[/\s)\"'`]|$)", text)
    badges = re.findall(r"(?:/github/|/v2/gh/)([\w.-]+/[\w.-]+)/", text)
    assert {f"https://github.com/{one}" for one in [*named, *badges]} <= {project_url()}


@pytest.mark.parametrize("page", [*PAGES, *SOURCES], ids=name_of)
def test_a_path_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"(?<![\w/.-])(?:course|notebooks|quizzes|tests|tools|binder)/[\w./*-]*[\w*]", page.read_text("utf-8")
    )
    paths = {path for path in named if "NN" not in path} - EXAMPLES
    assert sorted(path for path in paths if not any(ROOT.glob(path))) == []


@pytest.mark.parametrize("page", PAGES[:2], ids=name_of)
def test_a_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", PAGES[2].read_text("utf-8"), re.M))
    named = set(re.findall(r"`make ([a-z]+)", page.read_text("utf-8")))
    assert named and named <= targets


def looked_up() -> list[str]:
    """The rows of the table of what one looks for."""
    table = PAGES[1].read_text("utf-8").partition("| You look for |")[2].partition("\n\n")[0]
    return table.splitlines()[2:]


@pytest.mark.parametrize("row", looked_up())
def test_what_one_looks_for_is_where_the_table_says(row: str) -> None:
    marked = re.findall(r"`([^`]+)`", row)
    files = [one for one in marked if "/" in one and "NN" not in one]
    sources = [path for one in files for path in ((ROOT / one).rglob("*.py") if one.endswith("/") else [ROOT / one])]
    texts = "".join(path.read_text("utf-8") for path in sources)
    for name in (one for one in marked if one.isidentifier()):
        assert re.search(rf"^\s*(def|class) {name}\b|^{name}\b.* = ", texts, re.M), f"{name} is in none of {files}"


def test_the_readme_says_of_each_lesson_whether_it_is_here() -> None:
    rows = dict(re.findall(r"^\| (\d\d) \|.*\| (here|planned) \|$", PAGES[0].read_text("utf-8"), re.M))
    here = {path.name[:2] for path in notebooks.find([])}
    wrong = sorted(number for number in rows.keys() | here if (rows.get(number) == "here") != (number in here))
    assert wrong == [], f"in the table of README.md, lessons {wrong} are not what notebooks/ has: 'here' or 'planned'"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_says_what_it_serves(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert said, f"{name_of(path)} needs a docstring"
    if path.is_relative_to(ROOT / "course"):
        lessons = r"([Ll]esson|[Nn]otebook)s? (from )?\d\d|(every|all|each) (lesson|notebook)s?|[Ss]erves "
        assert re.search(lessons, said), f'{name_of(path)}: add "Serves notebook NN" to its docstring, or whom else'
