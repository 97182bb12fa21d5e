"""A stop is no fault: whatever was stopped is named, what shows it says so, and no lesson takes it for a result."""

import ast
import signal
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from course import stops
from course.plots import LiveCurve, lines, one_line_each, show
from course.resume import Run, stoppable
from course.show import show_table
from course.stops import half_trained, unfinished
from tests.tiny import build_model, build_tokenizer
from tools import notebooks
from tools.notebook_form import code_cells
from tools.stops import STOPPED as KINDS
from tools.stops import stopping

ROOT = Path(__file__).resolve().parent.parent
STOPPED = "'my run' was stopped at step 2 of 6"


def test_only_what_was_stopped_is_said(capsys):
    assert not half_trained() and capsys.readouterr().out == ""
    unfinished["my run"] = STOPPED
    assert half_trained()
    assert f"says nothing yet: {STOPPED}. Run its cell again" in capsys.readouterr().out


@pytest.mark.parametrize(
    "shown", [lambda: show_table([{"words": 3}], "Length"), lambda: show(lines({"a": ([1], [2])}, "A", "x", "y"), "A.")]
)
def test_a_table_or_a_figure_of_a_half_trained_model_is_marked(shown, capsys):
    shown()
    assert "Half-trained" not in capsys.readouterr().out
    unfinished["my run"] = STOPPED
    shown()
    assert STOPPED in capsys.readouterr().out


@pytest.fixture
def shell():
    made = InteractiveShell(config=Config(HistoryManager={"hist_file": ":memory:"}))
    made.set_custom_exc((KeyboardInterrupt,), stops._note_cell)
    made.events.register("post_run_cell", stops._forget_cell)
    return made


def test_a_stopped_cell_says_what_to_do_until_it_has_been_run_again(shell, capsys):
    wait = "pressed = globals().get('pressed', 0) + 1\nif pressed == 1: raise KeyboardInterrupt\nmade = 7"
    assert not shell.run_cell(wait, store_history=True).success
    said = capsys.readouterr().out
    assert "what it makes is missing. Run it again" in said and "Traceback" not in said
    assert shell.run_cell("from course.stops import half_trained\nassert 1 > 2 or half_trained()").success
    assert 'the cell that begins "pressed = globals()' in capsys.readouterr().out
    assert shell.run_cell(wait, store_history=True).success and not unfinished
    assert isinstance(shell.run_cell("assert made > 7 or half_trained()").error_in_exec, AssertionError)


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_trainer_of_the_library_stops_between_two_steps(stop_after, tmp_path, capsys):
    class Press(TrainerCallback):
        def on_step_begin(self, args, state, control, **rest):
            if state.global_step == stop_after - 1:
                signal.raise_signal(signal.SIGINT)

    model, data = build_model(build_tokenizer(), 0), [{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}] * 3
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "use_cpu": True}
    setting = TrainingArguments(str(tmp_path), max_steps=3, per_device_train_batch_size=1, logging_steps=1, **quiet)
    trainer = Trainer(model, setting, train_dataset=data, callbacks=[Press()])
    trainer.remove_callback(PrinterCallback)
    with stoppable(trainer):
        trainer.train()
    assert sum("loss" in entry for entry in trainer.state.log_history) == stop_after
    assert ("Trainer" in unfinished) == (stop_after < 3)
    assert (f"Stopped at step {stop_after} of 3. Run the cell again" in capsys.readouterr().out) == (stop_after < 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_short_runs_show_a_line_each(monkeypatch, capsys):
    monkeypatch.setattr("course.plots.live.in_notebook", lambda: True)
    with one_line_each():
        for name in ("first", "second"):
            with LiveCurve(name, 2) as curve:
                curve.update(1, loss=0.5)
                curve.update(2, loss=0.25)
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["first", "second"] and all("loss 0.25" in line for line in said)


def test_the_tool_stops_some_runs_after_a_step_and_fills_up_the_others():
    drive = stopping(KINDS["every second run"], unfinished)
    lengths, finished = [], []
    for title in ("first", "second"):
        run, curve = Run(), LiveCurve(title, 4)
        drive(run, 4, lambda step, run=run: run.losses.append(0.5), curve, dict, None, lambda: finished.append(1))
        lengths.append(len(run.losses))
    assert lengths == [4, 1] and len(finished) == 1 and list(unfinished) == ["second"]


# --- the lessons ------------------------------------------------------------------------------------------------------


def called(tree: ast.AST) -> set[str]:
    return {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def that_train(functions: list[ast.FunctionDef], known: set[str]) -> set[str]:
    """The names of the functions that call one of the known ones, or one that does."""
    while new := {one.name for one in functions if called(one) & known} - known:
        known = known | new
    return known


def package_functions() -> list[ast.FunctionDef]:
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "course").rglob("*.py")]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


TRAINING = that_train(package_functions(), {"drive"})


def names(tree: ast.AST, context: type[ast.expr_context] = ast.Load) -> set[str]:
    """Names that are read, or bound, without the variables of comprehensions, lambdas and loops."""
    own = {
        n.id
        for c in ast.walk(tree)
        if isinstance(c, ast.comprehension | ast.For)
        for n in ast.walk(c.target)
        if isinstance(n, ast.Name)
    }
    own |= {a.arg for f in ast.walk(tree) if isinstance(f, ast.Lambda) for a in f.args.args}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)} - own


def owner(node: ast.expr) -> set[str]:
    """The name whose item, attribute or method this is; none of a call's result."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def changed_by(statement: ast.stmt, training: set[str]) -> set[str]:
    """What a statement binds, fills item by item, adds to by a method, or trains in place."""
    if isinstance(statement, ast.FunctionDef):
        return {statement.name}
    found = names(statement, ast.Store)
    for node in ast.walk(statement):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found |= owner(node)
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
        ):
            found |= owner(node.value.func)
        if isinstance(node, ast.Call) and owner(node.func) & training and node.args:
            found |= owner(node.args[0])
    for loop in (n for n in ast.walk(statement) if isinstance(n, ast.For)):
        if found & {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}:  # an item of what is gone through
            found |= names(loop.iter)
    return found


def unguarded(cells: list[str]) -> list[str]:
    """The assertions that depend on what was trained, and do not ask whether it was stopped."""
    tree = ast.parse("\n".join(cell.replace("%pip", "pass  #") for cell in cells))
    training = that_train([n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)], TRAINING)
    trained: set[str] = set()
    faults = []
    for statement in tree.body:
        function = isinstance(statement, ast.FunctionDef)
        depends = bool(names(statement) & (trained if function else trained | training))
        for node in ast.walk(statement):
            asks = isinstance(node, ast.Assert) and "half_trained" in called(node.test)
            if isinstance(node, ast.Assert) and not asks and (depends or (function and trained)):
                faults.append(ast.unparse(node))
        changed = changed_by(statement, training)
        trained = trained | changed if depends else trained - names(statement, ast.Store)
    return faults


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["fit(student, data)", "assert loss(student) < 1"], 1),
        (["run = fit(student, data)\nlast = run.losses[-1]", "assert last < 1 or half_trained()"], 0),
        (["rows = []\nfor lm in (a, b):\n    rows.append(fit(lm, data).losses)", "assert rows"], 1),
        (
            [
                "def learn(lm):\n    fit(lm, data)",
                "pupil = clone(base)\nlearn(pupil)\nscore = grade(pupil)\nassert score",
            ],
            1,
        ),
        (["policies = {}\npolicies['a'], one = run_cell(pool, 'x')", "found = look(policies)\nassert found"], 1),
        (["for name, lm in both.items():\n    fit(lm, data)", "said = look(both)\nassert said"], 1),
        (["for name in kinds:\n    fit(a[name], data)", "means = {name: 1 for name in kinds}\nassert means"], 0),
        (["run = ppo(policy, judge)", "def beside(cure):\n    assert cure", "assert stored['a']"], 1),
        (["assert before", "fit(student, data)", "assert other"], 0),
    ],
)
def test_an_assertion_about_what_was_trained_is_recognised(cells, found):
    assert len(unguarded(cells)) == found


@pytest.mark.parametrize("path", notebooks.find([]), ids=lambda path: path.stem)
def test_a_lesson_survives_a_stop(path: Path) -> None:
    """Claims wait by themselves; what is asserted of a trained model waits too, and a library's trainer can be stopped.

    `python -m tools.stops` runs the lessons with their training stopped, for what only a run can find.
    """
    cells = [cell.source for cell in code_cells(notebooks.read(path))]
    assert unguarded(cells) == []
    tree = ast.parse("\n".join(cell.replace("%pip", "pass  #") for cell in cells))
    stopped = {
        id(n) for w in ast.walk(tree) if isinstance(w, ast.With) and "stoppable" in called(w) for n in ast.walk(w)
    }
    trains = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "trainer.train"]
    assert all(id(one) in stopped for one in trains)
