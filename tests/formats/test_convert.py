"""Conversions: counts, order, and the way back (claim F1)."""

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from course.formats import (
    DataError,
    as_messages,
    check,
    extract_prompt,
    instruction_to_conversation,
    likert_to_pairs,
    load_records,
    pairs_to_ranking,
    preference_to_conversation,
    preference_to_unpaired,
    ranking_to_pairs,
    validate,
)
from course.text import visible

TEXT = st.text(min_size=1, max_size=8).filter(lambda text: visible(text).strip())
ANSWERS = st.lists(TEXT, min_size=2, max_size=6, unique=True)


@st.composite
def rankings(draw: st.DrawFn) -> dict:
    answers = draw(ANSWERS)
    ranks = draw(st.permutations(range(1, len(answers) + 1)))
    record = {"prompt": draw(TEXT), "completions": answers, "ranks": ranks, "source": "test"}
    return as_messages(record) if draw(st.booleans()) else record


@st.composite
def likerts(draw: st.DrawFn) -> dict:
    answers = draw(ANSWERS)
    ratings = draw(st.lists(st.integers(1, 5), min_size=len(answers), max_size=len(answers)))
    return {"prompt": draw(TEXT), "completions": answers, "ratings": ratings}


@st.composite
def preferences(draw: st.DrawFn) -> dict:
    chosen, rejected = draw(st.lists(TEXT, min_size=2, max_size=2, unique=True))
    return {"prompt": draw(TEXT), "chosen": chosen, "rejected": rejected, "task": draw(TEXT)}


def test_instruction_to_conversation_by_hand():
    record = {"instruction": "Add.", "input": "2 + 2", "output": "4", "task": "sums"}
    assert instruction_to_conversation(record) == {
        "messages": [{"role": "user", "content": "Add.\n\n2 + 2"}, {"role": "assistant", "content": "4"}],
        "task": "sums",
    }


@given(instruction=TEXT, output=TEXT)
def test_an_instruction_without_input_is_the_whole_question(instruction, output):
    record = {"instruction": instruction, "input": "", "output": output, "task": "any"}
    chat = instruction_to_conversation(record)
    assert check(chat, "conversation") == []
    assert [turn["content"] for turn in chat["messages"]] == [instruction, output]
    for nothing in (None, " ", "\u200b"):
        assert instruction_to_conversation({**record, "input": nothing}) == chat


def test_columns_of_other_kinds_do_not_overwrite_the_result():
    """A data set of mixed records gives every row all columns, and None in those that are not its own."""
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    records = [
        {"instruction": "Hi", "output": "Hello."},
        {"messages": chat},
        {"prompt": "Hi", "chosen": "Hello.", "rejected": "No."},
        {"prompt": "Hi", "completion": "Hello.", "label": True},
        {"prompt": "Hi", "completions": ["Hello.", "No."], "ranks": [1, 2], "ratings": [5, 1]},
    ]
    columns = dict.fromkeys(column for record in records for column in record)
    mixed = Dataset.from_list([{**columns, **record} for record in records])
    instruction, _, preference, unpaired, ranking = mixed
    assert instruction_to_conversation(instruction)["messages"] == chat
    assert preference_to_conversation(preference)["messages"] == chat
    assert as_messages(preference)["chosen"] == as_messages(unpaired)["completion"] == chat[1:]
    assert [half["label"] for half in preference_to_unpaired(preference)] == [True, False]
    assert [half["label"] for half in preference_to_unpaired({**preference, "label": "mine"})] == [True, False]
    assert pairs_to_ranking([preference])["ranks"] == [1, 2]
    for pair in (ranking_to_pairs(ranking)[0], likert_to_pairs(ranking)[0][0]):
        assert (pair["chosen"], pair["rejected"]) == ("Hello.", "No.")


@given(record=preferences())
def test_text_becomes_messages_once(record):
    chat = as_messages(record)
    assert check(chat, "preference") == []
    assert chat["prompt"] == [{"role": "user", "content": record["prompt"]}]
    for side in ("chosen", "rejected"):
        assert chat[side] == [{"role": "assistant", "content": record[side]}]
    assert as_messages(chat) == chat


@given(record=rankings())
def test_a_rankings_completions_change_sort_with_its_prompt(record):
    assert check(as_messages(record), "ranking") == []


@given(record=preferences())
def test_the_demonstration_in_a_preference_is_its_chosen_answer(record):
    chat = preference_to_conversation(record)
    assert check(chat, "conversation") == []
    assert [turn["content"] for turn in chat["messages"]] == [record["prompt"], record["chosen"]]
    assert chat == {"messages": chat["messages"], "task": record["task"]}
    assert preference_to_conversation(as_messages(record)) == chat


def test_ranking_to_pairs_by_hand():
    record = {"prompt": "Hi", "completions": ["No.", "Hello.", "Yo"], "ranks": [3, 1, 2], "source": "me"}
    pairs = [(pair["chosen"], pair["rejected"]) for pair in ranking_to_pairs(record)]
    assert pairs == [("Hello.", "Yo"), ("Hello.", "No."), ("Yo", "No.")]
    assert ranking_to_pairs(record)[0] == {"prompt": "Hi", "chosen": "Hello.", "rejected": "Yo", "source": "me"}


@given(record=rankings())
def test_a_ranking_of_k_gives_k_times_k_minus_1_half_pairs_and_comes_back(record):
    k = len(record["ranks"])
    pairs = ranking_to_pairs(record)
    assert len(pairs) == k * (k - 1) // 2
    assert all(check(pair, "preference") == [] for pair in pairs)
    back = pairs_to_ranking(pairs[::-1])

    def by_rank(ranking: dict) -> list:
        return [ranking["completions"][ranking["ranks"].index(rank)] for rank in range(1, k + 1)]

    assert by_rank(back) == by_rank(record)
    assert back["prompt"] == record["prompt"]
    assert back["source"] == "test"


def test_pairs_that_make_no_ranking_are_refused():
    def pairs(*comparisons: str) -> list[dict]:
        return [{"prompt": "Hi", "chosen": better, "rejected": worse} for better, worse in comparisons]

    for comparisons in (("AB", "BC", "CA"), ("AB", "BC"), ("AB", "AB", "BC"), ("AB", "BC", "AC", "AC"), ("AB", "BA")):
        with pytest.raises(DataError, match="do not give one order"):
            pairs_to_ranking(pairs(*comparisons))
    with pytest.raises(DataError, match="is not the same in all pairs"):
        pairs_to_ranking([*pairs("AB"), {"prompt": "Bye", "chosen": "A", "rejected": "B"}])
    with pytest.raises(DataError, match="one prompt at a time"):
        pairs_to_ranking([])


def test_likert_to_pairs_by_hand():
    record = {"prompt": "Hi", "completions": ["Yo", "Hello.", "Hey"], "ratings": [2, 5, 2], "scale": [1, 5]}
    pairs, ties = likert_to_pairs(record)
    assert ties == 1
    assert pairs == [
        {"prompt": "Hi", "chosen": "Hello.", "rejected": "Yo"},
        {"prompt": "Hi", "chosen": "Hello.", "rejected": "Hey"},
    ]


@given(record=likerts())
def test_every_two_ratings_are_a_pair_or_a_tie(record):
    k = len(record["ratings"])
    rating = dict(zip(record["completions"], record["ratings"], strict=True))
    pairs, ties = likert_to_pairs(record)
    assert len(pairs) + ties == k * (k - 1) // 2
    assert all(rating[pair["chosen"]] > rating[pair["rejected"]] for pair in pairs)
    assert ties == sum(a == b for i, a in enumerate(record["ratings"]) for b in record["ratings"][:i])


def test_likert_pairs_of_messages_are_pairs_of_messages():
    pairs, _ = likert_to_pairs(as_messages({"prompt": "Hi", "completions": ["Yo", "Hey"], "ratings": [1, 2]}))
    assert check(pairs[0], "preference") == []


@given(records=st.lists(preferences(), min_size=1, max_size=5, unique_by=lambda record: record["prompt"]))
def test_a_pair_becomes_a_good_and_a_bad_answer(records):
    unpaired = [half for record in records for half in preference_to_unpaired(record)]
    assert all(check(half, "unpaired") == [] for half in unpaired)
    assert [half["label"] for half in unpaired] == [True, False] * len(records)
    assert [half["completion"] for half in unpaired] == [
        record[s] for record in records for s in ("chosen", "rejected")
    ]
    assert [half["task"] for half in unpaired[::2]] == [record["task"] for record in records]


@pytest.mark.parametrize(
    ("convert", "record"),
    [
        (instruction_to_conversation, {"instruction": "Hi"}),
        (preference_to_conversation, {"prompt": "Hi", "chosen": "Yo", "rejected": "Yo"}),
        (ranking_to_pairs, {"prompt": "Hi", "completions": ["Yo", "No."], "ranks": [1, 1]}),
        (likert_to_pairs, {"prompt": "Hi", "completions": ["Yo"], "ratings": [9]}),
        (preference_to_unpaired, {"prompt": "Hi", "chosen": "Yo"}),
        (lambda record: pairs_to_ranking([record]), {"prompt": "Hi", "chosen": "Yo"}),
    ],
)
def test_a_faulty_record_is_not_converted(convert, record):
    with pytest.raises(DataError, match="record that can be converted") as caught:
        convert(record)
    assert caught.value.problems


def whole(question: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[dict], list[dict], list[dict]]:
    """Turns that two conversations share, and two different answers to them."""
    shared = [turn for pair in draw(st.lists(st.tuples(TEXT, TEXT), max_size=2)) for turn in whole(*pair)]
    good, bad = draw(st.lists(TEXT, min_size=2, max_size=2, unique=True))
    system = [{"role": "system", "content": draw(TEXT)}] * draw(st.booleans())
    question = {"role": "user", "content": draw(TEXT)}
    answers = ([{"role": "assistant", "content": answer}] for answer in (good, bad))
    return [*system, *shared, question], *answers


@given(parts=conversations())
@settings(deadline=None)
def test_whole_conversations_are_split_where_trl_splits_them(parts):
    from trl.data_utils import maybe_extract_prompt

    prompt, good, bad = parts
    sides = {"chosen": prompt + good, "rejected": prompt + bad}
    for record in (sides, {"prompt": prompt[-1]["content"], **sides}):
        made = extract_prompt({**record, "source": "test"})
        assert check(made, "preference") == []
        assert made == {**maybe_extract_prompt(record), "source": "test"}
    assert extract_prompt({"prompt": prompt, **sides}) == extract_prompt(sides)


def test_the_turns_of_hh_rlhf_are_read_as_messages():
    from trl.data_utils import extract_prompt as trls

    start = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What is\n\n2 + 2?\n\nAssistant:"
    record = {"chosen": f"{start} Four.", "rejected": f"{start} I know not."}
    made = extract_prompt(record)
    assert check(made, "preference") == []
    assert made["prompt"] == [*whole("Hi", "Hello."), {"role": "user", "content": "What is\n\n2 + 2?"}]
    theirs = trls(record)
    assert theirs["prompt"] == start
    assert [made[side][0]["content"] for side in ("chosen", "rejected")] == [
        theirs[side].strip() for side in ("chosen", "rejected")
    ]
    close = extract_prompt({"chosen": f"{start} The cat.", "rejected": f"{start} The car."})
    assert close["chosen"] == [{"role": "assistant", "content": "The cat."}]  # TRL keeps "The ca" for the prompt


START = "\n\nHuman: Hi\n\nAssistant:"
SYSTEM = {"role": "system", "content": "Be brief."}
SPLIT = as_messages({"prompt": "Hi", "chosen": "Yes.", "rejected": "No."})


@pytest.mark.parametrize(
    "record",
    [
        {"chosen": f"{START} Yes.", "rejected": f"{START} No."},
        {"chosen": f"{START} Yes.", "rejected": f"{START} No.", "prompt": START},
        {"chosen": f"{START} Yes.", "rejected": f"{START} No.", "prompt": "Hi"},
        {"chosen": f"{START} Yes.", "rejected": f"{START} No.", "prompt": ""},
        {"chosen": f"{START} Yes.".replace("\n", "\r\n"), "rejected": f"{START} No."},
        {"chosen": " Yes.", "rejected": " No.", "prompt": START},
        {"chosen": whole("Hi", "Yes."), "rejected": whole("Hi", "No."), "prompt": " "},
        {"chosen": whole("Hi", "Yes."), "rejected": whole("Hi", "No."), "prompt": " Hi\n"},
        {"chosen": whole("Hi", "Yes."), "rejected": whole("Hi", "No."), "prompt": SPLIT["prompt"]},
    ],
)
def test_every_shape_of_whole_conversations_is_split_alike(record):
    assert extract_prompt(record) == SPLIT
    assert load_records([record], "preference") == [SPLIT]


def test_a_system_turn_that_only_the_prompt_or_both_answers_have_stays_in_front():
    prompt, chosen, rejected = [SYSTEM, *SPLIT["prompt"]], whole("Hi", "Yes."), whole("Hi", "No.")
    for record in (
        {"prompt": prompt, "chosen": chosen, "rejected": rejected},
        {"prompt": "Hi", "chosen": [SYSTEM, *chosen], "rejected": [SYSTEM, *rejected]},
    ):
        assert extract_prompt(record) == {**SPLIT, "prompt": prompt}


def test_only_roles_and_texts_decide_where_conversations_part():
    sides = {side: whole("Hi", answer) for side, answer in (("chosen", "Yes."), ("rejected", "No."))}
    for turns in sides.values():
        turns[0]["vector"] = np.arange(3)
    made = extract_prompt({"prompt": SPLIT["prompt"], **sides})
    assert [made[field] for field in SPLIT] == list(SPLIT.values())
    assert check(made, "preference") == []
    assert check({**made, "rejected": [{**made["chosen"][0], "vector": np.arange(3)}]}, "preference") != []


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Write a dialogue.", "chosen": f"{START} Yes.", "rejected": f"{START} No."},
        {"prompt": "Hi", "chosen": "Hi there.", "rejected": "Hi you."},
        {"prompt": "Complete: Assistant:", "chosen": "Yes.", "rejected": "No."},
    ],
)
def test_a_dialogue_that_was_asked_for_is_an_answer(record):
    assert check(record, "preference") == []
    assert load_records([record], "preference") == [record]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (
            {"chosen": f"{START} A play:\n\nHuman: Yo\n\nAssistant: Hey", "rejected": f"{START} No."},
            "chosen: has another turn after its answer, or an answer that quotes one",
        ),
        ({"chosen": f"{START} Yes.", "rejected": f"{START} No.\n\nHuman: Why?"}, "rejected: has another turn after"),
        (
            {"chosen": [SYSTEM, *whole("Hi", "Yes.")], "rejected": whole("Hi", "No.")},
            "chosen: parts from rejected before an answer",
        ),
        (
            {"prompt": 5, "chosen": whole("Hi", "Yes."), "rejected": whole("Hi", "No.")},
            "prompt: is not what chosen and rejected begin with",
        ),
        (
            {"prompt": [SYSTEM], "chosen": whole("Hi", "Yes."), "rejected": whole("Hi", "No.")},
            "prompt: is not what chosen and rejected begin with",
        ),
        ({"chosen": whole("Hi", "Yo"), "rejected": whole("Hi", "Yo")}, "rejected: is the same as chosen"),
        ({"chosen": whole("Hi", "Yo"), "rejected": whole("Bye", "No")}, "so they answer different questions"),
        (
            {"chosen": whole("Hi", "Yo") + whole("a", "b"), "rejected": whole("Hi", "Yo") + whole("c", "b")},
            "so they answer different questions",
        ),
        (
            {"prompt": "What?", "chosen": whole("Hi", "Yo"), "rejected": whole("Hi", "No")},
            "prompt: is not what chosen and rejected begin with",
        ),
        ({"prompt": "Hi", "chosen": "Yo", "rejected": "No"}, "chosen: is no whole conversation"),
        ({"chosen": "The cat", "rejected": "The car"}, "chosen: is no whole conversation"),
    ],
)
def test_conversations_that_are_no_pair_are_refused(record, says):
    with pytest.raises(DataError, match=says):
        extract_prompt(record)


def test_one_whole_conversation_beside_an_answer_is_refused():
    record = {"prompt": SPLIT["prompt"], "chosen": whole("Hi", "Yes."), "rejected": SPLIT["rejected"]}
    [problem] = check(record, "preference")
    assert (problem.field, problem.what) == ("chosen", "starts with the user")
    assert "let both answers repeat the prompt" in problem.mend


TURNS = st.lists(st.builds(dict, role=st.sampled_from(["user", "assistant", "system", "x"]), content=TEXT), max_size=3)
SIDES = st.none() | TURNS | st.lists(st.sampled_from([START, "Human:", "\n\nAssistant: Yo", "Hi"])).map("".join)


@given(record=st.fixed_dictionaries({"prompt": SIDES, "chosen": SIDES, "rejected": SIDES}))
def test_what_is_loaded_has_a_prompt_and_two_answers_apart(record):
    try:
        [loaded] = load_records([record], "preference")
    except DataError as refused:
        assert all(problem.what and problem.mend for problem in refused.problems)
        return
    assert check(loaded, "preference") == []
    if isinstance(loaded["prompt"], list):
        assert loaded["prompt"][-1]["role"] == "user" and loaded["chosen"][0]["role"] == "assistant"
    else:
        assert loaded == record


def test_whole_conversations_are_converted_on_loading_and_it_is_said(capsys):
    pair = {"prompt": "Hi", "chosen": "Yo", "rejected": "No"}
    texts = {side: f"\n\nHuman: Hi\n\nAssistant: {pair[side]}" for side in ("chosen", "rejected")}
    messages = {"prompt": "Hi", "chosen": whole("Hi", "Yo"), "rejected": whole("Hi", "No")}
    assert load_records([pair, texts, messages], "preference") == [pair, as_messages(pair), as_messages(pair)]
    assert "records: 2 of 3 records held whole conversations" in capsys.readouterr().out
    assert load_records([pair], "preference") == [pair] and capsys.readouterr().out == ""
    with pytest.raises(DataError, match="row 1, prompt: is not what") as caught:
        load_records([messages, {**messages, "prompt": "?"}], "preference")
    assert len(caught.value.problems) == 1
    with pytest.raises(
        DataError, match=r"whole conversation, prompt and answer in one\. Separate them with `extract_pro"
    ):
        validate([messages], "preference")
