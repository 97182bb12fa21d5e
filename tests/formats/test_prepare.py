"""The pipeline from raw data to training data: each step by hand, its properties, and its counts (claim D5)."""

import functools
import unicodedata
from collections import Counter

import pandas
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from course.formats import DataError, check, prepare_sft_data
from course.formats.prepare import STEPS, as_conversation, duplicates, jaccard, shingles, surplus, tidy, words
from tests.formats.good import chat

RAW = [
    {"instruction": "Name the capital.", "input": "France", "output": " Paris is the capital. ", "task": "facts"},
    chat("Name the capital.\n\nFrance", "Paris  is the capital.\u200b", task="facts"),
    {"prompt": "What is 2 + 2?", "completion": "2 + 2 = 4.", "task": "sums"},
    {"instruction": "Add.", "output": "", "task": "sums"},
    {"question": "Hi", "task": "facts"},
    chat("Who are you?", "As an AI language model, I cannot tell.", task="facts"),
    chat("Say hi.", "<p>Hi.</p>", task="facts"),
    chat("Name a fish.", "...", task="facts"),
    chat("Name an animal that can fly and sings.", "A lark can fly, and it sings.", task="facts"),
    chat("Name an animal that can fly and sings.", "A lark can fly, and it sings well.", task="facts"),
]


def test_the_whole_way_by_hand():
    made = prepare_sft_data(RAW, balance_by="task", seed=0)
    assert [(step.name, step.kept, step.dropped) for step in made.counts] == [
        ("raw", 10, {}),
        ("format", 8, {"output is empty": 1, "messages is missing": 1}),
        ("filter", 5, {"refusal boilerplate": 1, "broken markup": 1, "too short": 1}),
        ("de-duplicate", 3, {"exact duplicate": 1, "near duplicate": 1}),
        ("balance", 2, {"more than 1 of facts": 1}),
    ]
    assert [(drop.row, drop.reason) for drop in made.dropped][:2] == [
        (3, "output is empty"),
        (4, "messages is missing"),
    ]
    assert chat("What is 2 + 2?", "2 + 2 = 4.", task="sums") in made.records
    assert "filter              5 kept   dropped refusal boilerplate: 1, broken markup: 1" in str(made)


WORDS = st.sampled_from(["paris", "lima", "rome", "is", "the", "capital", "of", "4", "+", ""])
SENTENCES = st.lists(WORDS, min_size=0, max_size=12).map(" ".join)
RAWS = st.lists(st.builds(chat, SENTENCES, SENTENCES, task=st.sampled_from("abc")), min_size=1, max_size=12)


@given(raw=RAWS, similar=st.sampled_from([0.3, 0.8, 1.0]), seed=st.integers(0, 3))
@settings(deadline=None)
def test_counts_add_up_nothing_is_lost_and_the_seed_decides_all(raw, similar, seed):
    made = prepare_sft_data(raw, similar=similar, balance_by="task", seed=seed)
    assert made == prepare_sft_data(raw, similar=similar, balance_by="task", seed=seed)
    for before, after in zip(made.counts, made.counts[1:], strict=False):
        assert before.kept == after.kept + sum(after.dropped.values())
        assert after.dropped == Counter(drop.reason for drop in made.dropped if drop.step == after.name)
    assert made.counts[-1].kept == len(made.records)
    assert all(drop.record is raw[drop.row] for drop in made.dropped)
    left = sorted(set(range(len(raw))) - {drop.row for drop in made.dropped})
    assert made.records == [as_conversation(raw[row]) for row in left]
    assert all(check(record, "conversation") == [] for record in made.records)
    assert len(set(Counter(record["task"] for record in made.records).values())) <= 1


CHOICES = [name for step, reasons in STEPS.items() for name in (step, *reasons)]
SPOILT = st.sampled_from(
    ["", "\u200b", "so " * 9, "<p>x</p>", "As an AI language model, I ...", "```\nx", "4.", "4 !", "Paris"]
)


@given(raw=st.lists(st.builds(chat, SENTENCES, SPOILT)), steps=st.lists(st.sampled_from(CHOICES), unique=True))
@settings(deadline=None)
def test_only_the_chosen_steps_drop_and_every_drop_is_counted(raw, steps):
    made = prepare_sft_data(raw, max_words=5, steps=steps)
    chosen = {reason for name in steps for reason in STEPS.get(name, (name,))}
    dropped = [drop for drop in made.dropped if drop.step != "format"]
    assert {drop.reason for drop in dropped} <= chosen
    assert sum(sum(step.dropped.values()) for step in made.counts) == len(raw) - len(made.records)
    assert all(drop.record is raw[drop.row] for drop in made.dropped)
    for drop in dropped:
        alone = prepare_sft_data(raw, max_words=5, steps=[drop.reason])
        assert drop.reason in {other.reason for other in alone.dropped}


@given(raw=RAWS)
@settings(deadline=None)
def test_what_came_out_goes_in_again_unchanged(raw):
    once = prepare_sft_data(raw)
    assert prepare_sft_data(once.records).records == once.records


def test_the_raw_data_stays_as_it_was_and_may_be_a_data_set():
    raw = [chat(" Hi ", " Hello. "), chat("Hi", "Hello.")]
    made = prepare_sft_data(raw)
    assert raw[0] == chat(" Hi ", " Hello. ")
    assert made.records == [chat("Hi", "Hello.")]
    assert prepare_sft_data(Dataset.from_list(raw)) == made


def test_a_data_set_of_mixed_records_gives_what_the_records_give():
    mixed = [
        {"instruction": "Name a fish.", "input": "", "output": "A cod is a fish."},
        chat("Name a bird.", "A lark is a bird."),
        {"prompt": "What is 2 + 2?", "completion": "2 + 2 = 4."},
        {"prompt": "Who are you?", "completion": None},
        {"instruction": "Add.", "output": None},
    ]
    columns = dict.fromkeys(column for record in mixed for column in record)
    made = prepare_sft_data(Dataset.from_list([{**columns, **record} for record in mixed]))
    assert [r["messages"] for r in made.records] == [r["messages"] for r in prepare_sft_data(mixed).records]
    assert len(made.records) == 3
    assert made.counts[1].dropped == {"messages.content is missing": 1, "output is missing": 1}
    assert prepare_sft_data(made.records).records == made.records
    rows = pandas.DataFrame(mixed).to_dict("records")  # NaN in the columns that a record does not have
    assert [r["messages"] for r in prepare_sft_data(rows).records] == [r["messages"] for r in made.records]


def test_nothing_in_gives_nothing_out():
    assert prepare_sft_data([]).records == []
    assert prepare_sft_data([{"x": 1}], balance_by="task").counts[-1].kept == 0


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="similar is a share above 0"):
        prepare_sft_data(RAW, similar=0)
    with pytest.raises(ValueError, match="leave no length between them"):
        prepare_sft_data(RAW, min_words=9, max_words=3)
    with pytest.raises(ValueError, match="wants balance_by"):
        prepare_sft_data(RAW, per_task=3)
    for count in (0, 2.5):
        with pytest.raises(ValueError, match="per_task is a count of 1 or more"):
            prepare_sft_data(RAW, per_task=count, balance_by="task")
    with pytest.raises(DataError, match=r"row 1, task: is missing\. Add it, or call without balance_by"):
        prepare_sft_data([chat("a", "b", task="x"), chat("c", "d")], balance_by="task")


def test_steps_are_chosen_by_name_or_by_reason_and_still_count():
    def reasons(steps: list[str] | str) -> dict[str, int]:
        made = prepare_sft_data(RAW, steps=steps)
        assert made.counts[0].kept == len(made.records) + len(made.dropped)
        return {reason: n for step in made.counts[2:] for reason, n in step.dropped.items()}

    every = reasons([reason for step in STEPS.values() for reason in step])
    assert (
        every
        == reasons(list(STEPS))
        == {
            "refusal boilerplate": 1,
            "broken markup": 1,
            "too short": 1,
            "exact duplicate": 1,
            "near duplicate": 1,
        }
    )
    assert reasons([]) == {}
    assert reasons(["broken markup"]) == reasons("broken markup") == {"broken markup": 1}
    assert reasons(["too short", "de-duplicate"]) == {"too short": 1, "exact duplicate": 1, "near duplicate": 1}
    with pytest.raises(ValueError, match="no step 'markup'; `steps` takes a list of 'filter', 'too short'"):
        prepare_sft_data(RAW, steps=["markup"])


def test_a_table_is_cleaned_as_its_rows_are():
    table = pandas.DataFrame(RAW)
    made = prepare_sft_data(table)
    assert made.records and [r["messages"] for r in made.records] == [
        r["messages"] for r in prepare_sft_data(RAW).records
    ]


# --- format -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        chat("Hi", "Hello.", source="me"),
        {"instruction": "Hi", "output": "Hello.", "source": "me"},
        {"instruction": "Hi", "input": " ", "output": "Hello.", "source": "me"},
        {"prompt": "Hi", "completion": "Hello.", "source": "me"},
        {
            "prompt": [{"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Hello."}],
            "source": "me",
        },
    ],
)
def test_all_shapes_become_the_same_conversation(record):
    assert as_conversation(record) == chat("Hi", "Hello.", source="me")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"instruction": "Hi"}, "output is missing"),
        ({"prompt": "Hi", "completion": None}, "messages.content is missing"),
        (
            {"prompt": "\n\nHuman: Hi\n\nAssistant:", "completion": " Hello."},
            "prompt is a conversation written as one text with `Human:` and `Assistant:`",
        ),
        (chat("Hi", "  "), "messages.content is empty"),
        ({"messages": chat("a", "b")["messages"][:1]}, "messages has no assistant turn"),
        ({"messages": [{"role": "bot", "content": "Hi"}]}, "messages.role unknown role 'bot'"),
        ("Hi", "is text, not a record"),
        ({"x": functools.reduce(lambda inner, _: [inner], range(200), [])}, "is nested more than 100 levels deep"),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, "messages is missing"),
        ({"prompt": "Hi", "chosen": "a", "rejected": "b"}, "messages is missing"),
    ],
)
def test_what_is_no_conversation_is_told_why(record, reason):
    assert as_conversation(record) == reason


def test_messages_come_before_a_column_called_instruction():
    record = chat("Hi", "Hello.", instruction="Answer politely.")
    assert as_conversation(record) == record


def test_tidying():
    assert tidy("  one\r\ntwo\rthree  four \n") == "one\ntwo\nthree  four"
    assert tidy("cafe\u0301") == "caf\u00e9"


# --- filter -------------------------------------------------------------------------------------------------


def test_a_filter_of_your_own_is_named_in_the_counts():
    def polite(record: dict) -> bool:
        return "please" in record["messages"][0]["content"]

    made = prepare_sft_data([chat("Hi please", "Hello."), chat("Hi", "Hello you.")], keep=polite)
    assert made.counts[2].dropped == {"not polite": 1}
    assert made.records == [chat("Hi please", "Hello.")]


def test_a_filter_without_a_name_is_called_yours():
    made = prepare_sft_data([chat("Hi", "Hello.")], keep=lambda record: False)
    assert made.counts[2].dropped == {"not kept by your filter": 1}
    made = prepare_sft_data([chat("Hi", "Hello.")], keep=functools.partial(lambda limit, record: False, 3))
    assert made.counts[2].dropped == {"not kept by your filter": 1}


# --- de-duplicate -------------------------------------------------------------------------------------------


def test_words_ignore_case_and_punctuation_but_keep_signs():
    assert words("What's “2 + 2”, really?") == ["what's", "2", "+", "2", "really"]
    assert words("3 - 4") != words("3 + 4")
    assert words("The  C\u200bAT.") == words("the cat")
    assert words("5\u00b2") != words("52")


def test_shingles_and_their_overlap_by_hand():
    one, other = shingles("the cat sat down"), shingles("the cat sat up")
    assert one == {("the", "cat", "sat"), ("cat", "sat", "down")}
    assert jaccard(one, other) == pytest.approx(1 / 3)
    assert shingles("cat") == {("cat",)}
    assert jaccard(shingles(""), shingles("?")) == 1


def test_of_a_repeated_record_the_first_stays():
    records = [
        chat("The cat?", "It sat."),
        chat("the CAT", "it sat!"),
        chat("Other.", "Words."),
        chat("The\u00ad  cat?", "It sat.\u200b"),
    ]
    assert duplicates(records, similar=1.0) == [None, "near duplicate", None, "exact duplicate"]
    assert duplicates(records, 1.0, ["exact duplicate"]) == [None, None, None, "exact duplicate"]
    assert duplicates(records, 1.0, ["near duplicate"]) == [None, "near duplicate", None, "near duplicate"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 Mg", "5 mg"),
        ("5!", "5"),
        ("(2 + 3) * 4", "2 + (3 * 4)"),
        ("-5", "5"),
        ("\u22125", "5"),
        ("5 km", "5 m"),
        ("$5", "\u20ac5"),
        ("3.14", "314"),
        ("C++", "C"),
        ("x\u00b2", "x2"),
        ("H\u2082O", "H2O"),
        ("\uff11\uff12", "12"),
        ("\u0130", "i"),
        ("\u0131", "i"),
        ("r\u00e9sum\u00e9", "resume"),
        ("\u0643\u0650\u062a\u0627\u0628", "\u0643\u062a\u0627\u0628"),
        ("\u0928\u092e\u0938\u094d\u0924\u0947", "\u0928\u092e\u0938\u094d\u0924"),
        ("a > b", "a < b"),
        ("5%", "5"),
    ],
)
def test_a_text_of_another_meaning_is_no_duplicate(one, other):
    assert duplicates([chat("Say it.", one), chat("Say it.", other)], similar=1.0) == [None, None]


def test_line_breaks_and_indentation_are_part_of_a_program():
    programs = ["if a:\n    b\nc", "if a:\n    b\n    c", "if a: b c"]
    records = [chat("Say it.", program) for program in programs]
    assert duplicates(records, 1.0, ["exact duplicate"]) == [None] * 3
    assert duplicates(records, similar=1.0) == [None, "near duplicate", "near duplicate"]
    spaced = [chat("Say it.", programs[0]), chat("Say it.", "if  a:\u200b \n    b\n\u00adc ")]
    assert duplicates(spaced, 1.0, ["exact duplicate"]) == [None, "exact duplicate"]


def test_signs_and_capitals_make_a_text_another_one():
    questions = ["What is 5\u00b2?", "What is 52?", "What is 3 * 4?", "What is 3 / 4?"]
    assert duplicates([chat(question, "I wonder.") for question in questions], similar=1.0) == [None] * 4
    for one, other in (("What does Will do?", "What does will do?"), ("PARIS", "Paris")):
        records = [chat("Say it.", one), chat("Say it.", other)]
        assert duplicates(records, similar=1.0) == [None, "near duplicate"]
        assert duplicates(records, 1.0, ["exact duplicate"]) == [None, None]


HIDDEN = "\u200b\ufeff\u00ad\u2060\ufe0f\u034f\u180e\u3164\u2800\U000e0041\U000e0100\x00\x1b"


@given(
    text=st.lists(st.sampled_from(["Paris", "e\u0301", "5\u00b2", "-", "<a>"]), min_size=1).map(" ".join),
    data=st.data(),
)
def test_what_nobody_sees_hides_no_duplicate_and_makes_no_answer(text, data):
    where = data.draw(st.integers(0, len(text)))
    hidden = data.draw(st.text(HIDDEN, min_size=1, max_size=3))
    twin = unicodedata.normalize("NFD", text[:where] + hidden + text[where:])
    if where == 0 or not unicodedata.combining(text[where : where + 1] or "a"):  # an accent stays on its letter
        assert duplicates([chat("Hi", text), chat("Hi", twin)], 1.0, ["exact duplicate"])[1] == "exact duplicate"
    assert as_conversation(chat("Hi", hidden + " ")) == "messages.content is empty"


def test_a_different_sum_or_country_is_not_a_duplicate():
    questions = [f"What is {a} {sign} 3?" for a in range(20) for sign in "+-"]
    questions += [f"What is the capital of {country}?" for country in ("France", "Peru", "Italy")]
    assert duplicates([chat(question, "I wonder.") for question in questions], similar=0.8) == [None] * 43


def test_a_system_turn_that_all_share_makes_nobody_alike():
    system = {"role": "system", "content": "You are a helpful assistant who answers in one short sentence."}
    records = [chat("Paris?", "In France."), chat("Lima?", "In Peru."), chat("Lima?", "In Peru!")]
    with_system = [{"messages": [system, *record["messages"]]} for record in records]
    assert duplicates(with_system, similar=0.5) == [None, None, "near duplicate"]


@st.composite
def edited(draw: st.DrawFn) -> list[str]:
    """Texts that differ from one another in a few words, or where they end."""
    word = st.integers(0, 15).map("w{}".format)
    base = draw(st.lists(word, min_size=8, max_size=24))
    texts = []
    for number in range(draw(st.integers(1, 5))):
        text = base[: draw(st.integers(4, len(base)))]
        for place in draw(st.lists(st.integers(0, len(text) - 1), max_size=2)):
            text[place] = f"new{number}"
        texts.append(" ".join(text))
    return texts


def test_an_overlap_of_exactly_the_limit_counts():
    long = [f"w{i}" for i in range(23)]
    records = [chat("Hi", " ".join(long[:13])), chat("Hi", " ".join([*long, "end"]))]
    one, other = (shingles(f"user Hi assistant {record['messages'][1]['content']}") for record in records)
    assert (len(one), len(other), jaccard(one, other)) == (14, 25, 0.56)
    assert duplicates(records, similar=0.56) == [None, "near duplicate"]


@given(
    texts=st.lists(SENTENCES, max_size=10) | edited(),
    similar=st.one_of(st.sampled_from([0.5, 0.55, 0.6, 0.7, 0.75, 0.8, 1.0]), st.floats(0.05, 1.0)),
)
@settings(deadline=None, max_examples=300)
def test_duplicates_are_those_of_comparing_every_two(texts, similar):
    records = [chat(text, text[::2]) for text in texts]
    sets = [shingles(f"user {text}\nassistant {text[::2]}") for text in texts]
    kept: list[int] = []
    for i, own in enumerate(sets):
        if not any(jaccard(own, sets[j]) >= similar for j in kept):
            kept.append(i)
    assert [i for i, verdict in enumerate(duplicates(records, similar)) if verdict is None] == kept


# --- balance ------------------------------------------------------------------------------------------------


@given(tasks=st.lists(st.sampled_from("abc"), max_size=30), per_task=st.none() | st.integers(1, 9))
def test_each_task_keeps_its_share_and_no_more(tasks, per_task):
    verdicts = surplus(tasks, per_task, seed=0)
    before = Counter(tasks)
    after = Counter(task for task, verdict in zip(tasks, verdicts, strict=True) if verdict is None)
    share = per_task or min(before.values(), default=0)
    assert after == {task: min(count, share) for task, count in before.items()}


def test_another_seed_keeps_others_and_another_task_changes_nothing():
    tasks = ["a"] * 40
    choices = [surplus(tasks, 5, seed) for seed in range(4)]
    assert all(one != other for i, one in enumerate(choices) for other in choices[:i])
    assert surplus([*tasks, *"bbbbbb"], 5, seed=0)[:40] == choices[0]
    both = surplus(["a", "b"] * 40, 5, seed=0)
    assert both[::2] == choices[0]
    assert [verdict is None for verdict in both[1::2]] != [verdict is None for verdict in both[::2]]
