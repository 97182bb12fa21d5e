"""Run by `course.jinja.try_out` in a process of its own: a chat template on a few turns, in little time and memory.

Serves `course.jinja`. Reads a JSON object from stdin, and prints "sound" or what is wrong, to be read after "The chat
template".
"""

import json
import sys
from contextlib import suppress

from jinja2 import TemplateError, TemplateSyntaxError, ext
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

FAULTS = {
    TemplateSyntaxError: "is not valid Jinja (line {0.lineno}: {0.message})",
    SecurityError: "does what a template may not ({0})",
    MemoryError: "takes more than a gigabyte of memory",
    RecursionError: "calls itself without end",
}


def _refuse(message: str) -> None:
    raise TemplateError(message)


def trial(jinja: str, length: int) -> str:
    """What came of it: no more than `length` characters may be written."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[ext.loopcontrols])
    environment.filters["tojson"] = lambda value, *args, **kwargs: json.dumps(value)
    environment.globals.update(raise_exception=_refuse, strftime_now=lambda form: form)
    try:
        template = environment.from_string(jinja)
        for roles in (["user"], ["user", "assistant"], ["system", "user", "assistant", "user"]):
            turns = [{"role": role, "content": f"Text {i}"} for i, role in enumerate(roles)]
            for prompt in (False, True):
                try:
                    made = template.render(messages=turns, add_generation_prompt=prompt, tools=None, documents=None)
                except tuple(FAULTS):
                    raise
                except Exception:  # these turns it refuses
                    continue
                if len(made) > length:
                    return f"writes {len(made):,} characters for {len(roles)} short turns"
    except tuple(FAULTS) as error:
        return next(said for kind, said in FAULTS.items() if isinstance(error, kind)).format(error)
    return "sound"


if __name__ == "__main__":
    given = json.load(sys.stdin)
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (given["seconds"], given["seconds"] + 1))
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    print(trial(given["jinja"], length=100_000))
