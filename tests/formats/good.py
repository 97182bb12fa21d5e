"""Sound records of every kind, shared by the tests of this folder."""

from hypothesis import strategies as st

from course.text import visible

TEXT = st.text(min_size=1, max_size=8).filter(lambda text: visible(text).strip() and not text.startswith("Human:"))


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


SYSTEM = {"role": "system", "content": "Be brief."}

GOOD = {
    "instruction": [
        {"instruction": "Add.", "input": "2 + 2", "output": "4"},
        {"instruction": "Say hi.", "output": "Hi.", "task": "greeting"},
        {"instruction": "Say hi.", "input": None, "output": "Hi."},
    ],
    "conversation": [
        {"messages": [user("Hi"), assistant("Hello.")]},
        {"messages": [SYSTEM, user("Hi"), assistant("Hello."), user("2 + 2?"), assistant("4")]},
    ],
    "preference": [
        {"prompt": "Hi", "chosen": "Hello.", "rejected": "Go away."},
        {"prompt": [SYSTEM, user("Hi")], "chosen": [assistant("Hello.")], "rejected": [assistant("No.")]},
    ],
    "unpaired": [
        {"prompt": "Hi", "completion": "Hello.", "label": True},
        {"prompt": [user("Hi")], "completion": [assistant("Go away.")], "label": False},
    ],
    "ranking": [
        {"prompt": "Hi", "completions": ["Hello.", "Yo", "No."], "ranks": [1, 2, 3]},
        {"prompt": [user("Hi")], "completions": [[assistant("No.")], [assistant("Hello.")]], "ranks": [2, 1]},
    ],
    "likert": [
        {"prompt": "Hi", "completions": ["Hello.", "Yo"], "ratings": [5, 5]},
        {"prompt": "Hi", "completions": ["Hello."], "ratings": [0.5], "scale": [0, 1]},
    ],
}

PAIR = GOOD["preference"][0]
LIKERT = GOOD["likert"][0]


def chat(question: str, answer: str, **columns: str) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **columns}
