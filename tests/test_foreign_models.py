"""Models of other houses through every stage: their own chat template, what ends a turn, and what limits them."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course.batching import IGNORE
from course.evaluation import answer
from course.models import LM, CannotLoad, load, save
from course.preferences import fit_preferences, sequence_logps
from course.rewards import fit_reward, load_reward, new_reward_model, true_reward
from course.rl import PPOConfig, ppo
from course.rollouts import chat_prompts, generate, response_logps, sample
from course.templates import LLAMA2, template_of
from course.train import chat_examples, document_examples, fit
from course.world import Request, ask
from tests.foreign import (
    FAMILIES,
    GEMMA,
    HOUSES,
    LLAMA3,
    MISTRAL,
    MORE,
    NEWLINES,
    PHI3,
    House,
    other_tokenizer,
    save_folder,
    sentencepiece,
    tokenizer_of,
)
from tests.tiny import build_model

EACH = pytest.mark.parametrize("house", HOUSES.values(), ids=HOUSES)
TOKENIZERS = {(name, trim): tokenizer_of(house, trim) for name, house in HOUSES.items() for trim in (False, True)}
TOKENIZERS |= {(name, False): tokenizer_of(house) for name, house in MORE.items()}
SCHEMES = ("legacy", "first", "always", "never")
TOKENIZERS |= {("Mistral", scheme): sentencepiece(MISTRAL, scheme) for scheme in SCHEMES}
CHAT = [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "It is 4."}]
PAIRS = [{"prompt": f"Hi {i}", "chosen": "Lima is in Peru.", "rejected": "No."} for i in range(4)]
QUESTIONS = [Request(f"Question {i}", "") for i in range(4)]


def contents() -> st.SearchStrategy[str]:
    pieces = st.sampled_from(["\n", "\n\n", " ", "  ", "    ", "\t", "Paris", "12", ".", "[TASK]", "<|", "|>", "é漢🙂"])
    return st.lists(pieces, min_size=1, max_size=6).map("".join).filter(str.strip)


@st.composite
def chats(draw: st.DrawFn, system: bool) -> list[dict[str, str]]:
    first = [{"role": "system", "content": draw(contents())}] if system and draw(st.booleans()) else []
    count = draw(st.integers(1, 4))
    return first + [{"role": ("user", "assistant")[i % 2], "content": draw(contents())} for i in range(count)]


@pytest.mark.parametrize(("name", "trim"), TOKENIZERS)
@given(data=st.data(), prompt=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_tokens_are_the_librarys_and_the_mask_is_what_the_assistant_writes(name, trim, data, prompt):
    house, tokenizer = (HOUSES | MORE)[name], TOKENIZERS[name, trim]
    messages = data.draw(chats(house.system))
    encoded = template_of(tokenizer).encode(tokenizer, messages, prompt)
    theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=True)
    assert encoded.input_ids == theirs["input_ids"]
    pairs = zip(encoded.input_ids, encoded.assistant_mask, strict=True)
    learnt = tokenizer.decode([token for token, own in pairs if own])
    said = [m["content"].strip() if house.trims else m["content"] for m in messages if m["role"] == "assistant"]
    if house is NEWLINES:
        said = [text.strip("\n") for text in said]
    if house is PHI3:  # its marker swallows what stands before an answer
        said = [text.lstrip() for text in said]
    assert "".join(learnt.split()) == "".join("".join(text + house.end for text in said).split())
    at = 0
    for text in said:  # not a character is missing, though a token may reach into what stands before
        at = learnt.index(text + house.end, at)


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "prefix"])
@given(messages=chats(system=False))
@settings(max_examples=30, deadline=None)
def test_a_tokenizer_that_does_not_keep_every_character_gives_the_librarys_tokens_too(kind, messages):
    tokenizer = OTHERS[kind]
    encoded = template_of(tokenizer).encode(tokenizer, messages)
    assert encoded.input_ids == tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
    named = tokenizer.convert_ids_to_tokens(encoded.input_ids)
    given, answered = named.index("[/INST]"), "assistant" in [message["role"] for message in messages]
    assert 1 not in encoded.assistant_mask[: given + 1]
    ends = [own for token, own in zip(named, encoded.assistant_mask, strict=True) if token == "</s>"]
    assert set(ends) == {1} if answered else not ends


OTHERS = {kind: other_tokenizer(MISTRAL, kind) for kind in ("unigram", "wordpiece", "prefix")}


@pytest.mark.parametrize(("name", "trim"), TOKENIZERS)
def test_a_marker_in_someones_text_stays_text(name, trim):
    house, tokenizer = (HOUSES | MORE)[name], TOKENIZERS[name, trim]
    template, attack = template_of(tokenizer), "Hi" + "".join(house.markers) + " Bye"
    ids = set(tokenizer.convert_tokens_to_ids(list(house.markers)))

    def markers(messages: list[dict[str, str]]) -> list[int]:
        return [token for token in template.encode(tokenizer, messages).input_ids if token in ids]

    for i in range(2):
        hostile = [dict(turn) for turn in CHAT]
        hostile[i]["content"] = attack
        assert markers(hostile) == markers(CHAT)
        assert attack in tokenizer.decode(template.encode(tokenizer, hostile).input_ids)


MARKED = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] | trim }}{{ '<end_of_turn>' }}"
    "{% endgeneration %}{% else %}{{ message['content'] | trim + '<end_of_turn>' }}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>assistant\n' }}{% endif %}"
)


@given(messages=chats(system=True))
@settings(max_examples=100, deadline=None)
def test_where_a_template_marks_the_assistants_part_the_mask_is_the_librarys(messages):
    tokenizer = copy.deepcopy(TOKENIZERS["Gemma", False])
    tokenizer.chat_template = MARKED
    theirs = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    encoded = template_of(tokenizer).encode(tokenizer, messages)
    assert encoded.input_ids == theirs["input_ids"]
    assert encoded.assistant_mask == theirs["assistant_masks"]
    tokenizer.chat_template = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    assert template_of(tokenizer).encode(tokenizer, messages) == encoded  # found all the same


REFUSED = {
    "upper case": ("{{ (message['content'] | upper) + '<|eot_id|>' }}", "changes the content of messages"),
    "cut": ("{{ message['content'][:5] + '<|eot_id|>' }}", "changes the content of messages"),
    "twice": ("{{ message['content'] + message['content'] }}", "more than once"),
    "left out": ("{% if message['role'] == 'user' %}{{ message['content'] }}{% endif %}", "not as it is, or not at"),
    "earlier turns": (
        "{{ message['content'] }}{% if loop.last %}{{ '<|eot_id|>' }}{% else %}{{ ' | ' }}{% endif %}",
        "changes earlier turns once later ones follow",
    ),
    "marks all": (
        "{% generation %}{{ message['content'] + '<|eot_id|>' }}{% endgeneration %}",
        "marks what the user says as the assistant's",
    ),
    "no end": ("{{ message['role'] + ': ' + message['content'] }}", "writes no token that ends"),
    "content decides": (
        "{{ message['content'] + ('<|eot_id|>' if '?' in message['content'] else '<|end_of_text|>') }}",
        "changes|because of what",
    ),
}


@pytest.mark.parametrize(("written", "said"), REFUSED.values(), ids=REFUSED)
def test_a_template_that_no_model_can_learn_from_is_refused(written, said):
    tokenizer = tokenizer_of(LLAMA3)
    tokenizer.chat_template = f"{{% for message in messages %}}{written}{{% endfor %}}"
    with pytest.raises(ValueError, match=said):
        template_of(tokenizer).encode(tokenizer, [*CHAT, *CHAT])


ENDLESS = {
    "not Jinja": ("{% for %}", r"is not valid Jinja \(line 1"),
    "loops": ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "runs on for more"),
    "power": ("{{ 9 ** (9 ** 9) }}", "runs on for more|memory"),
    "length": ("{{ 'a' * 10 ** 10 }}", "memory"),
    "doubling": (
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "memory|runs on",
    ),
    "itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end"),
    "much": ("{{ 'a' * 1000000 }}", "writes 1,000,000 characters"),
    "escape": ("{{ ''.__class__.__mro__ }}", "does what a template may not"),
}


@pytest.mark.parametrize(("jinja", "said"), ENDLESS.values(), ids=ENDLESS)
def test_a_hostile_template_is_refused_in_words(jinja, said, monkeypatch):
    monkeypatch.setattr("course.jinja.TRIAL_SECONDS", 1)
    tokenizer = tokenizer_of(LLAMA3)
    tokenizer.chat_template = jinja
    with pytest.raises(ValueError, match=said):
        template_of(tokenizer)


def test_what_a_template_raises_is_said():
    tokenizer = tokenizer_of(GEMMA)
    with pytest.raises(ValueError, match=r"refuses these messages \(System role not supported\)"):
        template_of(tokenizer).encode(tokenizer, [{"role": "system", "content": "Be brief."}, *CHAT])


def through_every_stage(lm: LM, folder: Path) -> None:
    prompts = chat_prompts(lm, QUESTIONS)
    rollouts = sample(lm, prompts, max_new_tokens=5)
    torch.testing.assert_close(response_logps(lm, rollouts), rollouts.logps, atol=1e-4, rtol=1e-4)
    assert len(generate(lm, ["Hi there", "The"], max_new_tokens=4)) == 2
    assert len(answer(lm, [ask("capital", "Peru")], max_new_tokens=4).answers) == 1
    examples = chat_examples(lm, [{"messages": CHAT}] * 4)
    learnt = [label for label in examples[0]["labels"] if label != IGNORE]
    assert lm.tokenizer.decode(learnt).strip() == f"It is 4.{lm.template.end}"
    assert fit(lm, examples, epochs=1).losses
    assert sequence_logps(lm, ["Hi"], ["Lima."]).logps < 0
    assert fit_preferences(lm, PAIRS).losses[0] == pytest.approx(math.log(2), abs=1e-5)
    reward = new_reward_model(lm)
    assert fit_reward(reward, PAIRS).losses
    save(reward, folder)
    again = load_reward(folder, "cpu")
    scores = reward(["Hi"], ["Lima."])
    torch.testing.assert_close(again(["Hi"], ["Lima."]), scores, atol=2e-2, rtol=2e-2)
    batch = again.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Lima."}],
        return_dict=True,
        return_tensors="pt",
    )
    with torch.no_grad():  # the library reads it at the same token
        torch.testing.assert_close(again.model(**batch).logits[0, 0], again(["Hi"], ["Lima."])[0], atol=1e-4, rtol=1e-4)
    run = ppo(
        lm,
        reward,
        QUESTIONS,
        iterations=1,
        settings=PPOConfig(rollout_batch_size=4, mini_batch_size=4, epochs=1, max_new_tokens=4),
    )
    assert run.history[0]["clip_fraction"] == 0 and abs(run.history[0]["approx_kl"]) < 1e-6  # the ratios are 1


@EACH
def test_a_model_goes_through_every_stage_by_its_own_template(house, tmp_path):
    lm = load(save_folder(tmp_path / "lm", house), "cpu")
    assert lm.template.end == house.end
    asked = lm.tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTIONS[0].text}], add_generation_prompt=True, return_dict=True
    )
    assert chat_prompts(lm, QUESTIONS)[0] == asked["input_ids"]
    through_every_stage(lm, tmp_path / "reward")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_through_every_stage(family, tmp_path):
    lm = load(save_folder(tmp_path / "lm", HOUSES["SmolLM2"], family), "cpu")
    assert lm.context is None if family == "bloom" else lm.context > 0
    through_every_stage(lm, tmp_path / "reward")


def test_what_a_configuration_asks_to_be_returned_changes_nothing(tmp_path):
    folder = save_folder(tmp_path / "lm", HOUSES["SmolLM2"])
    config = json.loads((folder / "config.json").read_text())
    config |= {"return_dict": False, "output_attentions": True, "output_hidden_states": True, "use_cache": False}
    (folder / "config.json").write_text(json.dumps(config))
    through_every_stage(load(folder, "cpu"), tmp_path / "reward")


def test_a_family_without_scores_makes_no_reward_model(tmp_path):
    lm = load(save_folder(tmp_path, HOUSES["SmolLM2"], "cohere"), "cpu")
    with pytest.raises(ValueError, match=r"transformers has no cohere model that gives scores.*another family"):
        new_reward_model(lm)


@pytest.mark.parametrize("by", ["template", "settings", "tokenizer"])
@EACH
def test_a_turn_ends_by_template_settings_and_tokenizer(house, by, tmp_path):
    tokenizer = tokenizer_of(house)
    token = {
        "template": tokenizer.convert_tokens_to_ids(house.end),
        "settings": 7,
        "tokenizer": tokenizer.eos_token_id,
    }[by]
    lm = load(save_folder(tmp_path, house, ends=[7, tokenizer.eos_token_id]), "cpu")
    assert token in lm.ends()
    with torch.no_grad():  # a model that writes this token, whatever it reads
        lm.model.model.norm.weight.zero_()
        lm.model.lm_head = torch.nn.Linear(32, lm.model.config.vocab_size)
        lm.model.lm_head.bias.copy_(torch.nn.functional.one_hot(torch.tensor(token), lm.model.config.vocab_size) * 50.0)
    prompts = chat_prompts(lm, QUESTIONS[:1])
    assert generate(lm, prompts, max_new_tokens=3)[0].token_ids == [token]
    rollouts = sample(lm, prompts, max_new_tokens=3)
    assert rollouts.response_ids.tolist() == [[token]] and rollouts.stopped == [True]


def test_what_ends_a_turn_survives_saving(tmp_path):
    lm = load(save_folder(tmp_path / "lm", GEMMA, ends=[1, 7]), "cpu")
    save(lm, tmp_path / "again")
    again = load(tmp_path / "again", "cpu")
    assert again.ends() == lm.ends() and again.template.end == GEMMA.end
    assert set(lm.ends()) <= set(again.model.generation_config.eos_token_id)  # for the library as well


def test_a_template_that_was_given_to_a_model_survives_saving(tmp_path):
    lm = load(save_folder(tmp_path / "lm", HOUSES["SmolLM2"]), "cpu")
    given = replace(lm, template=LLAMA2)
    save(given, tmp_path / "again")
    again = load(tmp_path / "again", "cpu")
    assert again.encode(CHAT) == given.encode(CHAT) != lm.encode(CHAT) and again.ends() == given.ends()
    assert lm.tokenizer.chat_template == HOUSES["SmolLM2"].jinja


TEXT = "Hello"


@pytest.mark.parametrize(
    "call",
    [
        lambda lm: generate(lm, TEXT),
        lambda lm: generate(lm, ["Hi"], stop=TEXT),
        lambda lm: sample(lm, TEXT, max_new_tokens=2),
        lambda lm: chat_prompts(lm, TEXT),
        lambda lm: answer(lm, TEXT),
        lambda lm: chat_examples(lm, TEXT),
        lambda lm: sequence_logps(lm, TEXT, TEXT),
        lambda lm: new_reward_model(lm)(TEXT, TEXT),
        lambda lm: true_reward(TEXT, TEXT),
        lambda lm: document_examples(lm, TEXT, 4),
    ],
)
def test_one_text_in_the_place_of_a_list_is_no_list_of_letters(call, tmp_path):
    with pytest.raises(ValueError, match=r"(prompts|questions|records|documents|stop) is one text where a list"):
        call(lm_of(LLAMA3))


def test_a_question_must_have_a_text():
    lm = lm_of(LLAMA3)
    with pytest.raises(ValueError, match=r"questions\[0\] has no `\.text`: 'Hi'"):
        chat_prompts(lm, ["Hi"])
    with pytest.raises(ValueError, match="Prompt 0 is no list of token ids: 'Hi'"):
        sample(lm, ["Hi"], max_new_tokens=2)


def test_tokens_without_an_embedding_are_refused(tmp_path):
    lm = load(save_folder(tmp_path / "lm", LLAMA3), "cpu")
    lm.tokenizer.add_tokens(["<new>"])
    chat = [{"role": "user", "content": "<new>"}, CHAT[1]]
    said = r"Token \d+ \('<new>'\) has no place in the model's embedding of \d+ tokens"
    with pytest.raises(ValueError, match=said):
        chat_examples(lm, [{"messages": chat}])
    with pytest.raises(ValueError, match=said):
        generate(lm, ["A <new> word"])
    lm.tokenizer.save_pretrained(tmp_path / "lm")
    with pytest.raises(CannotLoad, match=said):
        load(tmp_path / "lm", "cpu")


def lm_of(house: House) -> LM:
    tokenizer = tokenizer_of(house)
    tokenizer.pad_token = tokenizer.bos_token
    return LM("tiny", build_model(tokenizer), tokenizer)
