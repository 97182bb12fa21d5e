"""Change the shown solutions in small ways and see what `check` says: every change that matters should be refused.

    python -m tools.mutants [07-calibration ...]    all mutants of these exercises, or of all; lists the survivors

A mutant is a solution from quizzes/*.yaml with one change in its syntax tree: another operator, a constant that is one
off, two arguments exchanged, a call or a statement dropped. A survivor is a mutant that `check` calls right; the ones
in equivalent_mutants.yaml compute the same and must survive.
"""

import argparse
import ast
import copy
import inspect
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from course.exercises import EXERCISES
from course.study.content import load_all
from course.study.grading import Verdict, grade

SECONDS = 1.0

_FILE = Path(__file__).with_name("equivalent_mutants.yaml")
EQUIVALENT = {
    (id, change)
    for id, reasons in yaml.safe_load(_FILE.read_text(encoding="utf-8")).items()
    for changes in reasons.values()
    for change in changes
}

_COMPARE = [ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq]
_OPERATORS = [ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow]
_CALLS = {
    "min": ["max"],
    "max": ["min"],
    "sum": ["max", "len"],
    "len": ["sum"],
    "amin": ["amax", "mean"],
    "amax": ["amin"],
    "mean": ["sum", "max"],
    "argmax": ["argmin"],
    "clamp": ["abs"],
    "exp": ["log"],
    "log": ["exp"],
    "std": ["var"],
    "combinations": ["permutations"],
    "sorted": ["list"],
    "square": ["abs"],
    "isalnum": ["isalpha"],
    "lower": ["upper", "strip"],
}


@dataclass(frozen=True)
class Mutant:
    """One changed solution.

    Args:
        exercise: id of the exercise.
        change: the line as it was and as it is, "old -> new".
        source: the whole changed source.
    """

    exercise: str
    change: str
    source: str

    def function(self) -> Callable[..., Any]:
        """The function that the source defines."""
        scope: dict[str, Any] = {"torch": torch}
        exec(self.source, scope)
        return next(value for value in scope.values() if inspect.isfunction(value))


def mutants(exercise_id: str, source: str) -> list[Mutant]:
    """All mutants of a solution, without doubles, in a fixed order."""
    tree = ast.parse(source)
    right = ast.unparse(tree).splitlines()
    found: dict[str, Mutant] = {}
    for n, node in enumerate(ast.walk(tree)):
        for change in _changes(node):
            changed = copy.deepcopy(tree)
            try:
                change(next(one for i, one in enumerate(ast.walk(changed)) if i == n))
                text = ast.unparse(ast.fix_missing_locations(changed))
            except (IndexError, ValueError):
                continue
            if text != ast.unparse(tree) and text not in found:
                found[text] = Mutant(exercise_id, _difference(right, text.splitlines()), text)
    return list(found.values())


def _difference(old: list[str], new: list[str]) -> str:
    first = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    tail = next(
        (n for n, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b), min(len(old), len(new))
    )
    tail = min(tail, len(old) - first, len(new) - first)
    was, now = old[first : len(old) - tail], new[first : len(new) - tail]
    return f"{' / '.join(map(str.strip, was)) or 'nothing'} -> {' / '.join(map(str.strip, now)) or 'nothing'}"


def _changes(node: ast.AST) -> Iterator[Callable[[Any], None]]:
    """The changes of one node, as functions that make them in a copy of the tree."""
    if isinstance(node, ast.BinOp):
        for kind in _OPERATORS:
            yield lambda n, kind=kind: setattr(n, "op", kind())
        if not isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd):
            yield lambda n: _exchange(n, "left", "right")
        yield lambda n: _become(n, n.left)
        yield lambda n: _become(n, n.right)
    elif isinstance(node, ast.AugAssign):
        for kind in (ast.Add, ast.Sub, ast.Mult):
            yield lambda n, kind=kind: setattr(n, "op", kind())
        yield lambda n: n.__setattr__("value", ast.UnaryOp(ast.USub(), n.value))
    elif isinstance(node, ast.UnaryOp):
        yield lambda n: _become(n, n.operand)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        if isinstance(node.ops[0], tuple(_COMPARE)):
            for kind in _COMPARE:
                yield lambda n, kind=kind: n.ops.__setitem__(0, kind())
        else:
            yield lambda n: _become(n, ast.UnaryOp(ast.Not(), copy.copy(n)))
        yield lambda n: _become(n, ast.Constant(True))
        yield lambda n: _become(n, ast.Constant(False))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield lambda n: setattr(n, "op", other())
        for i in range(len(node.values)):
            yield lambda n, i=i: _become(n, n.values[i])
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield lambda n: setattr(n, "value", not n.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for other in dict.fromkeys([node.value + 1, node.value - 1, 0, -node.value, 2 * node.value]):
            yield lambda n, other=other: setattr(n, "value", other)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield lambda n: setattr(n, "value", f"{n.value}x")
    elif isinstance(node, ast.Call):
        yield from _call_changes(node)
    elif isinstance(node, ast.Slice):
        for part in ("lower", "upper"):
            if getattr(node, part) is not None:
                yield lambda n, part=part: setattr(n, part, None)
                for kind in (ast.Add, ast.Sub):
                    yield lambda n, part=part, kind=kind: setattr(
                        n, part, ast.BinOp(getattr(n, part), kind(), ast.Constant(1))
                    )
    elif isinstance(node, ast.IfExp):
        yield lambda n: _become(n, n.body)
        yield lambda n: _become(n, n.orelse)
        yield lambda n: _exchange(n, "body", "orelse")
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield lambda n: n.ifs.clear()
        yield lambda n: n.ifs.__setitem__(0, ast.UnaryOp(ast.Not(), n.ifs[0]))
    elif isinstance(node, ast.If):
        yield lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
        yield lambda n: setattr(n, "test", ast.Constant(True))
        yield lambda n: setattr(n, "test", ast.Constant(False))
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        yield lambda n: n.elts.reverse()
        if len(node.elts) > 1:
            yield lambda n: n.elts.__setitem__(0, copy.deepcopy(n.elts[1]))
            yield lambda n: n.elts.__setitem__(1, copy.deepcopy(n.elts[0]))
    elif isinstance(node, ast.Tuple):
        yield lambda n: n.elts.reverse()
    elif isinstance(node, ast.Return) and node.value is not None:
        yield lambda n: setattr(n, "value", ast.UnaryOp(ast.USub(), n.value))
        yield lambda n: setattr(n, "value", ast.List([n.value], ast.Load()))
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield lambda n: _become(n, n.value)
    if hasattr(node, "body") and isinstance(node.body, list) and not isinstance(node, ast.Module):
        for i in range(len(node.body)):
            yield lambda n, i=i: n.body.__setitem__(i, ast.Pass())


def _call_changes(node: ast.Call) -> Iterator[Callable[[Any], None]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for other in _CALLS.get(name, []):
        yield lambda n, other=other: setattr(n.func, "attr" if isinstance(n.func, ast.Attribute) else "id", other)
    if isinstance(node.func, ast.Attribute):
        yield lambda n: _become(n, n.func.value)
    if node.args:
        yield lambda n: _become(n, n.args[0])
    if len(node.args) > 1 and name not in ("min", "max"):
        yield lambda n: n.args.reverse()
    if len(node.args) > 1:
        yield lambda n: n.args.pop()
    for i in range(len(node.keywords)):
        yield lambda n, i=i: n.keywords.pop(i)


def _exchange(node: Any, one: str, other: str) -> None:
    first, second = getattr(node, one), getattr(node, other)
    setattr(node, one, second)
    setattr(node, other, first)


def _become(node: Any, other: ast.AST) -> None:
    """Turn a node, in its place, into another."""
    kind, fields = type(other), dict(other.__dict__)
    node.__dict__.clear()
    node.__class__ = kind
    node.__dict__.update(fields)


def all_mutants(ids: list[str] | None = None) -> list[Mutant]:
    """The mutants of the named exercises; of all of them without names."""
    texts = {text.id: text.solution for lesson in load_all().values() for text in lesson.exercises}
    return [mutant for id in ids or EXERCISES for mutant in mutants(id, texts[id])]


def sample(count: int, seed: int) -> list[Mutant]:
    """So many of all mutants, drawn at random."""
    every = all_mutants()
    return random.Random(seed).sample(every, min(count, len(every)))


def verdict_of(mutant: Mutant) -> Verdict:
    """What `check` says of a mutant."""
    return grade(EXERCISES[mutant.exercise], mutant.function(), seconds=SECONDS)


def survivors(of: list[Mutant]) -> list[Mutant]:
    """Those that `check` calls right although they are not known to compute the same."""
    unknown = [mutant for mutant in of if (mutant.exercise, mutant.change) not in EQUIVALENT]
    return [mutant for mutant in unknown if verdict_of(mutant).kind == "right"]


def main() -> None:
    """List what survives, and count what is said of the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ids", nargs="*", metavar="exercise")
    parser.add_argument("--verbose", action="store_true", help="print the verdict on every mutant")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    left = []
    for mutant in all_mutants(arguments.ids):
        verdict = verdict_of(mutant)
        said = f"mistake {verdict.mistake}" if verdict.mistake else verdict.hint or verdict.kind
        known = (mutant.exercise, mutant.change) in EQUIVALENT
        counts["equivalent" if known else verdict.kind] += 1
        if verdict.kind == "wrong":
            named = verdict.mistake or verdict.hint or "return" in verdict.message or "values" in verdict.message
            counts["wrong, fault named" if named else "wrong, neutral"] += 1
        if verdict.kind == "right" and not known:
            left.append(mutant)
        if arguments.verbose:
            print(f"{mutant.exercise}  {mutant.change}\n    {said}", flush=True)
    print(*(f"{name}: {count}" for name, count in sorted(counts.items())), sep="\n")
    for mutant in left:
        print(f"survives  {mutant.exercise}  {mutant.change}")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
