"""Code that runs on, prints on, fills the memory or answers oddly: a verdict in words, and nothing stays behind."""

import gc
import signal
import sys
import threading
import time

import pytest

from course.exercises import Exercise
from course.study.compare import TooLarge
from course.study.grading import grade
from course.study.running import MEMORY, PRINTED, Runner, TimeUp

FIRST = Exercise(cases=[([1.0, 2.0],), ([3.0],)], solution=lambda values: values[:1])


def sleeps(values):
    time.sleep(60)


def loops(values):
    while True:
        values = values[:]


def holds_on(values):
    while True:
        try:  # noqa: SIM105
            time.sleep(60)
        except:  # noqa: E722
            pass


def never_ending(values):
    while True:
        yield from values


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows wakes no sleeper")
@pytest.mark.parametrize("attempt", [sleeps, loops, holds_on])
def test_what_runs_on_is_stopped_with_its_line_and_leaves_no_trace(attempt):
    traced, handler = sys.gettrace(), signal.getsignal(signal.SIGALRM)
    verdict = grade(FIRST, attempt, seconds=0.3)
    assert verdict.kind == "error" and "still running after 0.3 seconds in line" in verdict.message
    assert f"in {attempt.__name__}" in verdict.trace and "running.py" not in verdict.trace
    assert (sys.gettrace(), signal.getsignal(signal.SIGALRM)) == (traced, handler)


def test_in_another_thread_a_loop_is_stopped_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(grade(FIRST, loops, seconds=0.3)))
    thread.start()
    thread.join()
    assert "still running" in found[0].message and "in loops" in found[0].trace


def test_the_time_is_that_of_all_calls_together():
    run = Runner(lambda wait: time.sleep(wait), 0.5)
    run((0.4,))
    with pytest.raises(TimeUp):
        run((0.4,))


def test_a_second_call_for_which_no_time_is_left_speaks_against_nothing():
    def slow(values):
        time.sleep(0.2)
        return values[:1]

    assert grade(FIRST, slow, seconds=0.5).kind == "right"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_is_cut_and_said_to_be(capsys, stream):
    def flood(values):
        for _ in range(1000):
            print("a line of a flood", file=getattr(sys, stream))
        return values[:1]

    assert grade(FIRST, flood).kind == "right"
    seen = getattr(capsys.readouterr(), f"{stream[3:]}")
    assert PRINTED < len(seen) < PRINTED + 100 and "check shows the first" in seen


def test_what_is_printed_is_shown_once_for_each_case(capsys):
    def prints(values):
        print(f"{len(values)} values")
        return values[:1]

    grade(FIRST, prints)
    assert capsys.readouterr().out == "2 values\n1 values\n"


def test_a_closed_or_replaced_stream_is_as_it_was_afterwards(capsys):
    def closes(values):
        sys.stdout.close()
        sys.stdout = None
        return values[:1]

    assert grade(FIRST, closes).kind == "right"
    print("still here")
    assert capsys.readouterr().out == "still here\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not count memory like this")
def test_an_allocation_without_end_is_an_error_in_words():
    verdict = grade(FIRST, lambda values: bytearray(2 * MEMORY))
    assert verdict.kind == "error" and "MemoryError" in verdict.message
    assert len(bytearray(2 * MEMORY)) == 2 * MEMORY, "and only the learner's code is limited"
    gc.collect()


def nested(values):
    for _ in range(100_000):
        values = [values]
    return values


def within_itself(values):
    values.append(values)
    return values


@pytest.mark.parametrize("attempt", [nested, within_itself, never_ending])
def test_a_result_without_a_bottom_or_an_end_is_too_large(attempt):
    with pytest.raises(TooLarge):
        Runner(attempt, 10)(([1.0],))
    assert grade(FIRST, attempt).message.startswith("Your result has more than")


class Anything:
    """Equal to everything, and unwilling to be shown."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1

    def __repr__(self):
        raise ValueError


@pytest.mark.parametrize("result", [Anything(), [Anything()], {Anything()}, {"a": Anything()}])
def test_an_object_that_says_it_is_equal_is_not(result):
    verdict = grade(FIRST, lambda values: result)
    assert verdict.kind == "wrong" and "Anything" in verdict.difference.got


def test_leaving_python_while_the_result_is_looked_at_is_a_verdict():
    class Leaves:
        def __repr__(self):
            raise SystemExit

    assert grade(FIRST, lambda values: Leaves()).kind == "error"


def test_an_error_with_an_endless_message_is_cut():
    def complains(values):
        raise ValueError("no " * 10**6)

    verdict = grade(FIRST, complains)
    assert len(verdict.trace) < 1000 and len(verdict.difference.got) < 1000
