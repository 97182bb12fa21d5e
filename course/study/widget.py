"""The base of every study widget, and its three faces.

One widget has one content (`data`, made in Python) and one drawing of it (`static/<script>.js`):

1. live: an anywidget in JupyterLab, Notebook 7, Binder, Colab and VS Code. What the learner does arrives
   in the `state` trait and is kept by `progress`;
2. stand-alone: the same script with a small local model, answers in the browser's localStorage. This is
   what Kaggle's notebooks show;
3. static: `static_html()`, plain `<details>` in the same output, for GitHub and other readers without script.

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
default writes it to `progress()`. The next time the cell runs, also after a kernel restart, `state`
starts from what `recall(ids)` finds there. When Python assigns `widget.data`, or another view of the
same widget changes `state`, the widget is drawn again. Other traits of a subclass are read by
`study.trait(name)`, and `study.watch(name, listener)` calls when one changes.
Styles go to `static/study.css`, every rule below `.pt-study`.

Serves all lessons.
"""

import json
import os
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from course.study.progress import KAGGLE, progress

STATIC = Path(__file__).parent / "static"


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


def shows_standalone() -> bool:
    """Whether this front end needs the stand-alone face, because it runs no anywidget.

    Kaggle is known by its working folder. The environment variable COURSE_FACE ("live" or "standalone") wins.
    """
    face = os.environ.get("COURSE_FACE", "")
    return face == "standalone" if face else KAGGLE.is_dir()


class StudyWidget(anywidget.AnyWidget):
    """A widget with a live, a stand-alone and a static face; see the module's docstring."""

    script: ClassVar[str] = ""
    kind: ClassVar[str] = ""

    # ipywidgets 7 (Colab) would display itself through this method and leave text/html out.
    _ipython_display_ = None

    data = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)

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
        super().__init__(data=data, state=self.recall(ids))
        self.observe(self._on_state, names="state")

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

    def _standalone(self) -> str:
        """The stand-alone face as a part of a page: the static face, and a script that replaces it."""
        content = to_script_json({"kind": self.kind or self.script, "data": self.data})
        place = f"pt-{sha256(content.encode()).hexdigest()[:12]}"  # the same on every run, unlike a random id
        call = f'standalone("{place}", {content});'
        return (
            f'<div class="{place}">{self.static_html()}</div><style>{read_static("study.css")}</style>'
            f'<script>(() => {{ "use strict";\n{_source(self.script)}\n{call} }})();</script>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        if shows_standalone():
            return {"text/html": self._standalone(), "text/plain": self.plain()}, {}
        bundle = super()._repr_mimebundle_(**kwargs)
        # The metadata stays: in Colab it carries the address of the widget manager.
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, "text/html": self.static_html(), "text/plain": self.plain()}, metadata

    def _on_state(self, change: dict[str, Any]) -> None:
        problems = []
        for id, value in change["new"].items():
            if value == change["old"].get(id):
                continue
            try:
                self.remember(id, value)
            except Exception as problem:  # an exception in a message handler reaches no cell: say it in the widget
                problems.append(str(problem))
        lost = "; ".join(dict.fromkeys(problems))
        self.notice = f"This could not be kept and will be lost with the kernel: {lost}" if problems else ""


def _source(script: str) -> str:
    return f"{read_static('common.js')}\n{read_static(f'{script}.js')}"
