"""Showing a figure, and the curve that grows while a model trains. Serves every lesson."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import plotly.graph_objects as go
from tqdm import tqdm

from course.plots.figures import legend_rows, lines, literal, panels
from course.plots.sketch import sketch
from course.show import in_notebook
from course.stops import half_trained

SECONDS_BETWEEN_DRAWINGS = 0.5
PATIENCE = 3.0  # seconds in which nobody asks whether anything happens
T = TypeVar("T")


def show(fig: go.Figure, alt: str) -> None:
    """Display a figure, with a sentence that says in words what is to be seen in it.

    JupyterLab and its kin get plotly's own format, a few kilobytes, with the sentence beside it; on Colab and
    Kaggle plotly's renderer for them is used; a terminal prints the sentence.

    Raises:
        ValueError: the sentence is empty.
    """
    if not alt.strip():
        raise ValueError("say in one sentence what the figure shows: it stands in where the picture cannot be seen.")
    if not in_notebook():
        print(alt)
    elif _hosted():
        fig.show()
    else:
        from IPython.display import display

        display(_bundle(fig, alt), raw=True)
    half_trained()


def progress(items: Sequence[T], what: str) -> Iterator[T]:
    """The items one after the other; in a notebook a line counts them, if they take more than a few seconds.

    The line is gone at the end. No widget: in a saved notebook its place would say that the widget is missing.
    """
    began, handle = time.monotonic(), None
    try:
        for done, item in enumerate(items):
            if time.monotonic() - began > PATIENCE and in_notebook() and not _quiet():
                from IPython.display import display

                words = {"text/plain": f"{what}: {done} of {len(items)}"}
                if handle is None:
                    handle = display(words, raw=True, display_id=True)
                else:
                    handle.update(words, raw=True)
            yield item
    finally:
        if handle is not None:
            handle.update({"text/plain": ""}, raw=True)


@contextmanager
def one_line_each() -> Iterator[None]:
    """Inside, a run shows a line when it is over instead of its curve: many short runs would fill the page."""
    LiveCurve.brief = True
    try:
        yield
    finally:
        LiveCurve.brief = False


class LiveCurve:
    """A curve that grows while a model trains.

        with LiveCurve("SFT", total_steps=300) as curve:
            for step in range(1, 301):
                curve.update(step, train=loss, held_out=other)   # any names; not each at every step

    A notebook gets one figure, redrawn at most twice a second, with the steps done and the time left in its
    title; Colab and Kaggle a line of text that becomes a figure at the end; a terminal a progress bar (none if
    its output goes to a file). Whatever ends the run, an interrupt too, the last state stays on the page.
    TQDM_DISABLE=1 gives no bar and, in a notebook, one final figure that holds no time.

    Values in different units get a plot each: `panels` maps their names to the titles of the plots. `x` is what a step
    is called.
    """

    brief = False  # see `one_line_each`

    def __init__(
        self, title: str, total_steps: int, y: str = "loss", x: str = "step", panels: Mapping[str, str] | None = None
    ) -> None:
        if total_steps < 1:
            raise ValueError(f"curve {title!r}: total_steps must be at least 1, but it is {total_steps}.")
        self.title, self.total, self.y, self.x, self.panels = title, total_steps, y, x, panels
        self.points: dict[str, list[tuple[int, float]]] = {}
        self.step = 0
        self._first_step: int | None = None  # of this run; a resumed one does not start at the beginning
        self._over = False
        self._quiet = _quiet()
        self._notebook = in_notebook()
        self._handle: Any = None
        self._bar: Any = None
        self._start = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if self._notebook and not self._quiet:
            self._draw()
        elif not self._notebook:
            self._bar = tqdm(total=self.total, desc=self.title, disable=self._quiet or None)  # None: terminals only
        return self

    def replay(self, step: int, **values: float) -> None:
        """Add what an earlier part of a resumed run measured. It took no time in this part, so none is counted."""
        self._add(step, values)
        if self._bar is not None:
            self._bar.initial = self._bar.n = self.step

    def update(self, step: int, **values: float) -> None:
        """Add what was measured at `step`. An underscore in a name is shown as a space."""
        self._first_step = step if self._first_step is None else self._first_step
        self._add(step, values)
        if self._bar is not None:
            self._bar.set_postfix_str(self._latest(), refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._handle is not None and time.monotonic() - self._drawn >= SECONDS_BETWEEN_DRAWINGS:
            self._draw()

    def _add(self, step: int, values: Mapping[str, float]) -> None:
        self.step = max(self.step, step)
        for name, value in values.items():
            self.points.setdefault(name.replace("_", " "), []).append((step, float(value)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if self._bar is not None:
            self._bar.close()
        else:
            self._draw()

    def figure(self) -> go.Figure:
        """The curve so far, with the state of the run under its title."""
        series = {name: tuple(zip(*points, strict=True)) for name, points in self.points.items()}
        if self.panels:
            drawn = {title: {"": series.get(name, ([], []))} for name, title in self.panels.items()}
            fig, status = panels(drawn, self.title, self.x), self._state()
        else:
            fig, status = lines(series or {"": ([], [])}, self.title, self.x, self.y), self._status()
            if len(series) < 2:  # keep one row of names throughout, so that the page does not jump
                legend_rows(fig, rows=1)
        fig.layout.title.pad.t = 24
        fig.layout.title.text += f"<br><span style='font-size:12px'>{literal(status)}</span>"
        fig.update_xaxes(range=[0, max(self.total, self.step) * 1.01])
        return fig

    def _draw(self) -> None:
        if self.brief:
            return print(f"{self.title}: {self._status()}") if self._over else None
        from IPython.display import display

        self._drawn = time.monotonic()
        # Colab and Kaggle do not draw plotly's own format, and their HTML for it is too heavy to send twice a second.
        words = f"{self.title}: {self._status()}"
        bundle: dict[str, Any] = {"text/plain": words}
        if not _hosted() and self._over:
            bundle = _bundle(self.figure(), words)
        elif not _hosted():  # drawn once, plotly's figure would stand still: see `sketch`
            bundle["image/svg+xml"] = sketch(self.figure())
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        if self._over and _hosted():
            self.figure().show()

    def _status(self) -> str:
        return " · ".join(filter(None, [self._state(), self._latest()]))

    def _state(self) -> str:
        elapsed = time.monotonic() - self._start
        if self._over and self.step >= self.total:
            return f"{self.step} {self.x}s" + ("" if self._quiet else f" in {_duration(elapsed)}")
        if self._over:
            return f"stopped at {self.x} {self.step} of {self.total}"
        state = f"{self.x} {self.step} of {self.total}"
        if self._first_step is not None:
            steps_left = max(0, self.total - self.step)
            state += f" · {_duration(elapsed / (self.step - self._first_step + 1) * steps_left)} left"
        return state

    def _latest(self) -> str:
        return " · ".join(f"{name} {points[-1][1]:.4g}" for name, points in self.points.items())


def _bundle(fig: go.Figure, alt: str) -> dict[str, Any]:
    """What a notebook gets: plotly's format for a front end that draws it, words for every other reader."""
    figure = json.loads(fig.to_json())
    figure["layout"]["meta"] = {"alt": alt}  # the study widgets' script gives it to the chart as its name
    # Not "responsive": JupyterLab follows the window by itself, and with it a change of theme leaves no height.
    figure["config"] = {"displaylogo": False}
    return {"application/vnd.plotly.v1+json": figure, "text/plain": alt}


def _quiet() -> bool:
    return os.environ.get("TQDM_DISABLE", "") not in ("", "0")


def _hosted() -> bool:
    """Colab and Kaggle, whose pages do not draw plotly's own format."""
    return "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
