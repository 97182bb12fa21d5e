"""Calls of a learner's function that cannot run on, print on or fill the memory without end. Serves `grade`.

What a call returns comes back as a plain value, made while the limits hold: an iterator or the `repr` of a learner's
class is the learner's code too.
"""

import contextlib
import ctypes
import io
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from course.study.compare import plain

MEMORY = 2**31  # bytes in addition to what the process has; a solution takes thousands
PRINTED = 5_000  # characters
AGAIN = 0.1  # seconds until code that caught TimeUp is told once more


class TimeUp(BaseException):
    """Raised inside the learner's code when its time is over."""


class Runner:
    """Calls one function; its time and what it prints are counted over all calls together.

    Args:
        function: the learner's.
        seconds: for all calls together.
    """

    def __init__(self, function: Callable[..., Any], seconds: float) -> None:
        self.function = function
        self.left = seconds
        self.room = [PRINTED]

    def __call__(self, arguments: tuple[Any, ...], *, aloud: bool = True) -> tuple[Any, list[Any]]:
        """The plain result, and the arguments as plain values after the call.

        Args:
            aloud: whether what the function prints is shown.
        Raises:
            TimeUp: its time is over.
            TooLarge: see `plain`.
            BaseException: whatever the function raises.
        """
        room = self.room if aloud else [0]
        began = time.monotonic()
        out, err = _Spout(sys.stdout, room), _Spout(sys.stderr, room)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _memory():
                return _timed(lambda: self._run(arguments), max(self.left, AGAIN))
        finally:
            self.left -= time.monotonic() - began

    def _run(self, arguments: tuple[Any, ...]) -> tuple[Any, list[Any]]:
        return plain(self.function(*arguments)), list(map(plain, arguments))


class _Spout(io.TextIOBase):
    """Passes on what is written until the room is used up, and then says so once.

    Args:
        room: how many characters may still come, in a list of one number that is counted down.
    """

    def __init__(self, to: TextIO | None, room: list[int]) -> None:
        self.to, self.room = to, room

    def write(self, text: str) -> int:
        if self.to and self.room[0] > 0:
            self.to.write(text[: self.room[0]])
            self.room[0] -= len(text)
            if self.room[0] <= 0:
                self.to.write(f"\n... (check shows the first {PRINTED:,} characters of what your code prints)\n")
        return len(text)

    def flush(self) -> None:
        if self.to:
            self.to.flush()

    def close(self) -> None:
        """The notebook's own stream stays open, whatever the learner's code closes."""


@contextlib.contextmanager
def _memory() -> Iterator[None]:
    """On Linux, an allocation beyond `MEMORY` fails with an error, where the process would be killed otherwise."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([pages * resource.getpagesize() + MEMORY, *limits]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _timed(call: Callable[[], Any], seconds: float) -> Any:
    """What the call returns; it is stopped with TimeUp after so many seconds.

    A signal also wakes code that sleeps or waits. Signals exist in the main thread only, and this one not on Windows.
    Neither way reaches code that stays inside a single call of C, as in `sum(range(10**12))`.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _timed_by_signal(call, seconds)
    return _timed_by_thread(call, seconds)


def _timed_by_signal(call: Callable[[], Any], seconds: float) -> Any:
    own = _timed_by_signal.__code__

    def once_more(frame: FrameType, event: str, value: Any) -> Callable[..., Any]:
        if event == "line":
            raise TimeUp
        return once_more

    def stop(number: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code is own:
            return  # the call is over
        while frame and frame.f_code is not own:
            frame.f_trace = once_more  # the next line raises again: an `except:` around this one does not help
            frame = frame.f_back
        sys.settrace(lambda *event: None)  # switches the frames' own traces on
        raise TimeUp

    traced, handler = sys.gettrace(), signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.settrace(traced)
        signal.signal(signal.SIGALRM, handler)


def _timed_by_thread(call: Callable[[], Any], seconds: float) -> Any:
    thread, lock, over = ctypes.c_ulong(threading.get_ident()), threading.Lock(), threading.Event()

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeUp))
            wait = AGAIN

    threading.Thread(target=watch, daemon=True).start()
    try:
        return call()
    finally:
        with lock:
            over.set()
