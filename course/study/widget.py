"""The base of every study widget, and its three faces.

One widget has one content (`data`, made in Python) and one drawing of it (`static/<script>.js`):

1. live: an anywidget in JupyterLab, Notebook 7, Binder, Colab and VS Code. What the learner does arrives
   in the `state` trait and is kept by `progress`;
2. stand-alone: the same script with a small local model, answers in the browser's localStorage. Kaggle's
   notebooks show it, a saved notebook whose kernel is gone, and an exported page;
3. static: `static_html()`, plain `<details>`, for GitHub and other readers without script.

A cell therefore has two outputs: the live view, and the stand-alone face, which hides while the view lives.
JupyterLab shows a stored view as an error the next day, and would show nothing else if both were one output.

What a learner does is first put into localStorage, and taken out when the `kept` trait says that it is on the
disk. Until then the widget says "Not saved yet"; the next live widget with the same item, in this or in a later
session, hands it over.

To derive a widget
------------------
Python, `course/study/mood.py`::

    class Mood(StudyWidget):
        script = "mood"                    # draws with static/mood.js
        kind = "mood"                      # kind of its entries in progress(); "" when nothing is to be kept

        def __init__(self, item: Item) -> None:
            super().__init__({"id": item.id, "prompt_html": to_html(item.prompt)}, ids=[item.id])
            self.item = item

        def static_html(self) -> str:      # the same on every run: no state, no time, no random id
            return f"<details><summary>{to_html(self.item.prompt, raw_math=True)}</summary>...</details>"

        def plain(self) -> str:
            return f"Mood: {self.item.id}"

JavaScript, `static/mood.js`, one function called `draw` (helpers are in `static/common.js`)::

    function draw(study) {
      const {root, data} = study;
      const saved = study.get(data.id);                       // what the learner did earlier, or undefined
      const fine = () => study.save(data.id, {mood: "fine"});
      root.append(h("div", {html: data.prompt_html}),         // `html` takes only what to_html made
                  h("button", {class: "pt-button", onclick: fine}, "Fine"));
    }

`study.save(id, value)` puts one JSON object for one id; it reaches `remember(id, value)` here, which by
default writes it to `progress()` and raises OSError when it cannot. A section with the attribute `data-item`
says by itself when the item of that id is not saved. The next time the cell runs, also after a kernel restart, `state`
starts from what `recall(ids)` finds there. When Python assigns `widget.data`, or another view of the
same widget changes `state`, the widget is drawn again. Other traits of a subclass are read by
`study.trait(name)`, and `study.watch(name, listener)` calls when one changes.
Styles go to `static/study.css`, every rule below `.pt-study`.

Serves all lessons.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from course.study.progress import KAGGLE, RESET, ProgressError, progress
from course.text import show_direction

STATIC = Path(__file__).parent / "static"
VIEW = "application/vnd.jupyter.widget-view+json"
WAITED = "waited"
"""Added by the script to an entry that waited in the browser for a kernel: {at, over}.

`at` is when it was made, in ms since 1970, and `over` what the page knew to be on the disk then.
"""


@cache
def read_static(name: str) -> str:
    """Text of one file of `static/`. It is read once, since anywidget would watch a path that it is given."""
    return (STATIC / name).read_text(encoding="utf-8")


def to_script_json(value: object) -> str:
    """JSON that can stand inside a `<script>` element whatever its strings contain."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def face() -> str:
    """Which face this front end gets: "live", "standalone" where it runs no anywidget, or "static".

    Kaggle is known by its working folder. The environment variable COURSE_FACE wins; the tool that makes the
    committed notebooks sets "static".
    """
    return os.environ.get("COURSE_FACE") or ("standalone" if KAGGLE.is_dir() else "live")


def outdated(waited: Mapping[str, Any], saved: Any, since: datetime | None) -> bool:
    """Whether an answer that waited in a browser gives way to the saved one.

    One that was given in sight of what is saved now is newer, whatever the two clocks say.

    Args:
        waited: when it was made and over what, see `WAITED`.
        saved: what is on the disk, or None.
        since: when that was written or taken out.
    """
    in_sight = saved is not None and saved == waited["over"]
    return not in_sight and since is not None and waited["at"] / 1000 < since.timestamp() < time.time()


class StudyWidget(anywidget.AnyWidget):
    """A widget with a live, a stand-alone and a static face; see the module's docstring."""

    script: ClassVar[str] = ""
    kind: ClassVar[str] = ""

    data = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    kept = traitlets.Dict().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    store = traitlets.Unicode().tag(sync=True)
    ids = traitlets.List().tag(sync=True)
    place = traitlets.Unicode().tag(sync=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "script" in vars(cls):  # not in the subclass of one instance that traitlets makes for its traits
            render = "export default { render: ({ model, el }) => mount(model, el, true) };"
            cls._esm = f"{_source(cls.script)}\n{render}\n"
            cls._css = read_static("study.css")

    def __init__(self, data: dict[str, Any], ids: Iterable[str] = ()) -> None:
        """Make a widget.

        Args:
            data: what the script draws, JSON only. HTML in it must come from `markup.to_html`.
            ids: the items whose earlier entries `recall` looks up.
        """
        ids, notice = list(ids), ""
        try:
            state = self.recall(ids)
        except ProgressError as problem:  # the cells below can run, and what is answered waits in the browser
            state, notice = {}, str(problem)
        super().__init__(data=data, state=state, kept=state, ids=ids, store=self.kind, notice=notice)
        self.place = self._place()
        self._face: DisplayHandle | None = None
        self.observe(lambda _: self._keep(), names="state")
        self.on_msg(lambda *_: self._keep())  # the script sends a message to have a failed write tried again

    def static_html(self) -> str:
        """The face without script. The same on every run: not a function of state, time or chance."""
        raise NotImplementedError

    def plain(self) -> str:
        """One line that stands for the widget where not even HTML is shown."""
        raise NotImplementedError

    def recall(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What was kept of these items, by id: the state that the widget starts from. The counterpart of `remember`."""
        if not self.kind:
            return {}
        kept = progress()
        return {id: value for id in ids if (value := kept.get(self.kind, id)) is not None}

    def remember(self, id: str, value: dict[str, Any]) -> None:
        """Keep what the learner did with one item. A subclass may do more, or something else."""
        if self.kind:
            progress().put(self.kind, id, value)

    def last_kept(self, id: str) -> tuple[dict[str, Any] | None, datetime | None]:
        """What is on the disk for one item now, and since when: when it was written, or else taken out by `reset`."""
        value, since = progress().get_dated(self.kind, id)
        resets = [progress().get_dated(RESET, name)[1] for name in (id, id[:2], "everything")]
        return value, since or max(filter(None, resets), default=None)

    def _place(self) -> str:
        """The class by which the stand-alone face is found in the page: the same on every run, unlike a random id."""
        content = to_script_json({"store": self.store, "data": self.data})
        return f"pt-{sha256(content.encode()).hexdigest()[:12]}"

    def _standalone(self, state: dict[str, Any]) -> str:
        """The stand-alone face as a part of a page: the static face, and a script that replaces it."""
        content = {"store": self.store or self.script, "data": self.data, "ids": self.ids, "state": state}
        call = f'standalone("{self.place}", {to_script_json(content)});'
        return (
            f'<div class="{self.place}">{self.static_html()}</div><style>{read_static("study.css")}</style>'
            f'<script>(() => {{ "use strict";\n{_source(self.script)}\n{call} }})();</script>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """All that there is to show, in one bundle, for those who ask for one."""
        html = self._standalone({}) if face() == "standalone" else self.static_html()
        readable = {"text/html": html, "text/plain": show_direction(self.plain())}
        if face() != "live":
            return readable, {}
        bundle = super()._repr_mimebundle_(**kwargs)
        # The metadata stays: in Colab it carries the address of the widget manager.
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, **readable}, metadata

    def _ipython_display_(self, **_: Any) -> None:
        bundle, metadata = self._repr_mimebundle_()
        if view := bundle.pop(VIEW, None):
            # The empty HTML is what readers without widgets show in its place; the face below is for them.
            display({VIEW: view, "text/html": ""}, metadata=metadata, raw=True)
            bundle["text/html"] = self._standalone(dict(self.state))
            self._face = display(bundle, raw=True, display_id=True)
        else:
            display(bundle, raw=True)

    def _refresh_face(self) -> None:
        """The stored page should know what was answered, for the next day and for an export."""
        if self._face is not None:
            self._face.update(
                {"text/html": self._standalone(dict(self.state)), "text/plain": show_direction(self.plain())}, raw=True
            )

    def _keep(self) -> None:
        """Write down what is not on the disk yet, also what failed before. `kept` then tells the script."""
        state, kept, trouble = dict(self.state), dict(self.kept), []
        before = dict(kept)
        for id, value in self.state.items():
            if value == kept.get(id):
                continue
            try:
                settled = self._settle(id, value)
            except OSError as problem:
                trouble.append(str(problem))
                continue
            except Exception as problem:  # not what our script sends: trying again will not help
                settled = kept.get(id)
                trouble.append(f"An entry for {id} was left out, since it cannot be read ({problem}).")
            if settled is None:
                state.pop(id), kept.pop(id, None)
            else:
                state[id] = kept[id] = settled
        with self.hold_sync():
            self.kept, self.state = kept, state
            self.notice = " ".join(dict.fromkeys(trouble))
        if kept != before:
            self._refresh_face()

    def _settle(self, id: str, value: Any) -> Any:
        """Make sure that an answer is on the disk; return what is there.

        One that waited in a browser does not replace what was saved after it was given, in another notebook say.
        """
        waited = value.get(WAITED) if isinstance(value, dict) else None
        if waited is None:
            if not (self.kind and self.last_kept(id)[0] == value):  # another widget of the page may have been faster
                self.remember(id, value)
            return value
        if id not in self.ids:
            raise ValueError("it belongs to another widget")
        value = {name: part for name, part in value.items() if name != WAITED}
        saved, since = self.last_kept(id)
        if saved == value or outdated(waited, saved, since):
            return saved
        self.remember(id, value)
        return value


def _source(script: str) -> str:
    return f"{read_static('common.js')}\n{read_static(f'{script}.js')}"
