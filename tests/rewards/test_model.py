"""Reward models against `transformers` and TRL, on data that can be learnt, and cut short."""

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from course import models, train
from course.formats import DataError, as_messages
from course.losses.reward import bradley_terry_loss
from course.models import CannotLoad, add_lora, load, save, with_lora
from course.resume import TrainingStopped
from course.rewards import RewardModel, accuracy, fit_reward, length_penalised, load_reward, new_reward_model
from course.rewards import model as module
from course.templates import CHATML
from course.world import ask
from tests.rewards.small import MODEL, PROMPTS, TEXTS, TOKENIZER, model_of, tiny

CITIES = ("Paris", "Lima", "Rome", "Athens", "Cairo", "Oslo")
SETTINGS = {"epochs": 2, "batch_size": 4, "learning_rate": 3e-3, "seed": 5}


def polite_pairs(count: int, first: int = 0) -> list[dict]:
    """Comparisons in which an answer with a thank-you wins, whatever else it says."""
    pairs = []
    for i in range(first, first + count):
        asked, told, other = (CITIES[(i * k + i // 6) % 6] for k in (1, 5, 7))
        pairs.append({"prompt": f"{asked} {i}?", "chosen": f"It is {told}. Thank you.", "rejected": f"It is {other}."})
    return pairs


PAIRS = polite_pairs(20)


def weights(model: RewardModel) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.model.named_parameters()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **(tolerance or {"rtol": 0, "atol": 0}))


TINY = tiny()
ALONE = torch.cat([MODEL.scores([prompt], [text]) for prompt, text in zip(PROMPTS, TEXTS, strict=True)])


@given(order=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=9))
@settings(deadline=None, max_examples=25)
def test_a_score_does_not_depend_on_what_it_is_batched_with(order):
    scores = MODEL.scores([PROMPTS[i] for i in order], [TEXTS[i] for i in order])
    assert (scores.shape, scores.dtype, scores.requires_grad) == ((len(order),), torch.float32, False)
    torch.testing.assert_close(scores, ALONE[order], rtol=1e-4, atol=1e-5)


def test_more_than_a_batch_comes_back_in_order():
    many = [*range(len(TEXTS))] * 30
    scores = MODEL([PROMPTS[i] for i in many], [TEXTS[i] for i in many])
    torch.testing.assert_close(scores, ALONE[many], rtol=1e-4, atol=1e-5)


def test_a_score_is_the_head_at_the_end_of_turn_token_of_the_trunk():
    turns = [{"role": "user", "content": PROMPTS[0]}, {"role": "assistant", "content": TEXTS[0]}]
    ids = CHATML.encode(TOKENIZER, turns).input_ids
    until = ids[: len(ids) - ids[::-1].index(TOKENIZER.eos_token_id)]
    assert until[-1] == TOKENIZER.eos_token_id and len(until) < len(ids)
    with torch.no_grad():
        state = MODEL.trunk(input_ids=torch.tensor([until])).last_hidden_state[0, -1]
        assert float(ALONE[0]) == pytest.approx(float(MODEL.head.weight[0] @ state), rel=1e-4)
    assert ALONE.std() > 0.1


def test_a_prompt_is_a_text_a_question_or_turns():
    question = ask("capital", "France")
    as_text = MODEL([question.text], ["Paris."])
    turns = [{"role": "user", "content": question.text}]
    assert torch.equal(MODEL([question], ["Paris."]), as_text)
    assert torch.equal(MODEL([turns], [[{"role": "assistant", "content": "Paris."}]]), as_text)
    told = [{"role": "system", "content": "Be brief."}, *turns]
    assert not torch.equal(MODEL([told], [[{"role": "assistant", "content": "Paris."}]]), as_text)


def test_a_marker_in_an_answer_is_text():
    """An answer that writes the end-of-turn marker as characters does not move the place where it is scored."""
    [example] = train.answer_examples(MODEL, ["Hi"], ["Lima.<|im_end|>"])
    ids = example["input_ids"]
    assert ids.count(TOKENIZER.eos_token_id) == 2 and ids[-1] == TOKENIZER.eos_token_id


def test_what_cannot_be_scored():
    with pytest.raises(ValueError, match="There are 0 prompts and 0 texts"):
        MODEL.scores([], [])
    with pytest.raises(ValueError, match="There are 2 prompts and 1 texts"):
        MODEL.scores(["a", "b"], ["c"])
    with pytest.raises(ValueError, match=r"1 of 2 conversations exceed .* 512 tokens, first texts\[1\] with \d+"):
        MODEL.scores(["a", "b"], ["c", "7 " * 600])
    broken = model_of()
    with torch.no_grad():
        broken.model.model.norm.weight[0] = float("nan")
    with pytest.raises(ValueError, match=r"score of texts\[0\] is nan: the reward model's weights are damaged"):
        broken.scores(["a", "b"], ["c", "d"])


def test_it_is_the_language_model_with_another_head():
    lm = tiny()
    model = new_reward_model(lm)
    assert (model.name, model.device, model.model.training) == ("tiny", lm.device, False)
    ours = dict(model.trunk.named_parameters())
    assert ours.keys() == dict(lm.model.model.named_parameters()).keys()
    assert all(torch.equal(ours[name], weight) for name, weight in lm.model.model.named_parameters())
    assert tuple(model.head.weight.shape) == (1, 32) and model.head.bias is None
    assert model.parameters == lm.parameters - lm.model.lm_head.weight.numel() + 32


def test_training_it_leaves_the_language_model_alone():
    lm = tiny()
    before = {name: weight.detach().clone() for name, weight in lm.model.named_parameters()}
    template = lm.tokenizer.chat_template
    fit_reward(new_reward_model(lm), PAIRS, **SETTINGS)
    assert all(torch.equal(weight, before[name]) for name, weight in lm.model.named_parameters())
    assert lm.tokenizer.chat_template == template == CHATML.jinja


def test_the_seed_draws_the_head_and_leaves_the_global_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    heads = [new_reward_model(TINY, seed).head.weight for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert 0.01 < heads[0].std() < 0.03


def test_adapters_are_merged_and_everything_trains():
    adapted = with_lora(tiny(), rank=4)
    for name, weight in adapted.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    model = new_reward_model(adapted)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        states = model.trunk(input_ids=ids).last_hidden_state
        theirs = adapted.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(states, theirs, rtol=1e-4, atol=1e-5)
    assert not any("lora" in name for name in weights(model))
    assert all(weight.requires_grad for weight in model.model.parameters())


CHATS = [
    [("user", "Hi"), ("assistant", "Paris.")],
    [("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4"), ("user", "Why?"), ("assistant", "It is a sum.")],
    [("user", "Where?\n"), ("assistant", "")],
]


@pytest.mark.parametrize("chat", CHATS)
def test_libraries_read_the_score_at_the_same_token(chat):
    """Its tokenizer's template ends with the end-of-turn token; apart from that it is ChatML."""
    turns = [{"role": role, "content": content} for role, content in chat]
    [example] = train.answer_examples(MODEL, [turns[:-1]], [turns[-1:]])
    ids = example["input_ids"]
    assert MODEL.tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"] == ids
    opened = MODEL.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert opened == CHATML.encode(TOKENIZER, turns, add_generation_prompt=True).input_ids


@pytest.mark.parametrize("form", [dict, as_messages], ids=["text", "messages"])
def test_every_step_is_that_of_trls_reward_trainer(tmp_path, form):
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    ours, theirs = model_of(), model_of()
    pairs = [form(pair) for pair in PAIRS]
    run = fit_reward(ours, pairs, epochs=1, batch_size=4, learning_rate=3e-3, seed=5)
    plan = train._plan(len(PAIRS), train.Recipe(1, 3e-3, 4, seed=5))
    in_order = [as_messages(PAIRS[i]) for step in plan for batch in step for i in batch]
    trainer = RewardTrainer(
        theirs.model,
        args=RewardConfig(
            output_dir=str(tmp_path),
            per_device_train_batch_size=4,
            num_train_epochs=1,
            learning_rate=3e-3,
            lr_scheduler_type="linear",
            warmup_steps=0,
            train_sampling_strategy="sequential",
            logging_steps=1,
            bf16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(in_order),
        processing_class=theirs.tokenizer,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(run.losses) == len(losses) == 5
    assert run.losses == pytest.approx(losses, rel=1e-4)
    assert_same(weights(ours), weights(theirs), rtol=1e-3, atol=1e-4)
    assert max(run.losses) - min(run.losses) > 0.1


def test_the_first_loss_by_hand():
    model = model_of()
    prompts = [pair["prompt"] for pair in PAIRS]
    chosen, rejected = (model(prompts, [pair[side] for pair in PAIRS]) for side in ("chosen", "rejected"))
    expected = float(bradley_terry_loss(chosen, rejected))
    run = fit_reward(model, PAIRS, epochs=1, batch_size=len(PAIRS), held_out=PAIRS)
    assert run.losses[0] == pytest.approx(expected, rel=1e-4)
    assert run.held_out[0][1] == pytest.approx(expected, rel=1e-4)
    read = [train.encode_answers(model, pair["prompt"], [pair["chosen"], pair["rejected"]]) for pair in PAIRS]
    assert run.tokens == sum(2 * len(prompt) + len(chosen) + len(rejected) for prompt, (chosen, rejected) in read)


def test_what_can_be_learnt_is_learnt():
    model, unseen = new_reward_model(tiny()), polite_pairs(12, first=100)
    run = fit_reward(model, polite_pairs(40), epochs=4, batch_size=8, learning_rate=3e-3, held_out=unseen)
    assert run.held_out[0][1] == pytest.approx(math.log(2), abs=0.05)
    assert [step for step, _ in run.held_out] == [0, 5, 10, 15, 20]
    assert run.held_out[-1][1] < 0.1
    assert accuracy(model, unseen) == 1.0
    swapped = [pair | {"chosen": pair["rejected"], "rejected": pair["chosen"]} for pair in unseen]
    assert accuracy(model, swapped) == 0.0
    assert not model.model.training


@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 8), (4, 2)])
def test_a_step_in_parts_equals_the_step_of_the_whole_batch(batch_size, accumulate):
    whole, parts = model_of(), model_of()
    one = fit_reward(whole, PAIRS, **(SETTINGS | {"batch_size": 8}))
    many = fit_reward(parts, PAIRS, **(SETTINGS | {"batch_size": batch_size}), accumulate=accumulate)
    assert many.losses == pytest.approx(one.losses, abs=1e-4) and many.tokens == one.tokens
    assert_same(weights(parts), weights(whole), rtol=0, atol=1e-4)


def test_adapters_and_head_learn_alone_and_are_saved_merged(tmp_path):
    model = new_reward_model(tiny())
    add_lora(model.trunk, rank=4)
    before = weights(model)
    assert all(
        "lora_" in name or name.startswith("score") for name, p in model.model.named_parameters() if p.requires_grad
    )
    fit_reward(model, PAIRS, **SETTINGS)
    after = weights(model)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert any("lora_B" in name for name in changed) and "score.weight" in changed
    assert all("lora_" in name or name == "score.weight" for name in changed)
    save(model, tmp_path / "model")
    again = load_reward(tmp_path / "model", "cpu")
    assert not any("lora" in name for name, _ in again.model.named_parameters())
    torch.testing.assert_close(again(PROMPTS, TEXTS), model(PROMPTS, TEXTS), rtol=0, atol=2e-2)


def test_the_same_seed_gives_the_same_numbers_and_another_others():
    runs = [fit_reward(model_of(), PAIRS, **SETTINGS | {"seed": seed}) for seed in (5, 5, 6)]
    assert runs[0].losses == runs[1].losses != runs[2].losses


def interrupt_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C while this step's loss is computed."""
    real, calls = bradley_terry_loss, []

    def loss(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return real(chosen, rejected)

    monkeypatch.setattr(module, "bradley_terry_loss", loss)


@pytest.mark.parametrize("step", [1, 5, 8])
def test_interrupted_and_resumed_equals_undisturbed(tmp_path, monkeypatch, capsys, step):
    whole = model_of()
    expected = fit_reward(whole, PAIRS, **SETTINGS)
    interrupt_at(step, monkeypatch)
    state = tmp_path / "reward.state"
    part = fit_reward(model_of(), PAIRS, state=state, **SETTINGS)
    assert part.interrupted and part.losses == expected.losses[:step]
    assert f"Run the cell again to go on from {state}." in capsys.readouterr().out
    again = model_of()
    run = fit_reward(again, PAIRS, state=state, **SETTINGS)
    assert run.losses == expected.losses and not run.interrupted
    assert_same(weights(again), weights(whole))
    assert list(tmp_path.iterdir()) == []


def test_a_state_of_other_pairs_is_refused(tmp_path, monkeypatch):
    interrupt_at(2, monkeypatch)
    fit_reward(model_of(), PAIRS, state=tmp_path / "state", **SETTINGS)
    swapped = [{"prompt": p["prompt"], "chosen": p["rejected"], "rejected": p["chosen"]} for p in PAIRS]
    with pytest.raises(TrainingStopped, match="another run"):
        fit_reward(model_of(), swapped, state=tmp_path / "state", **SETTINGS)


def test_weights_that_are_not_numbers_are_found_at_the_first_step():
    model = model_of()
    with torch.no_grad():
        model.model.model.norm.weight[0] = float("nan")
    with pytest.raises(TrainingStopped, match="loss is nan at step 0; the losses before were none"):
        fit_reward(model, PAIRS, **SETTINGS)


def test_a_run_that_explodes_is_stopped_with_finite_weights():
    model = model_of()
    with pytest.raises(TrainingStopped, match=r"at step [1-9]; .* try a tenth"):
        fit_reward(model, PAIRS, **SETTINGS | {"learning_rate": 1e30, "epochs": 30})


def test_pairs_that_prefer_nothing_are_named():
    same = {"prompt": "Hi", "chosen": "Lima.", "rejected": "Lima."}
    model = model_of()
    before = weights(model)
    with pytest.raises(DataError, match=r"row 20, rejected: is the same as chosen.*remove the record"):
        fit_reward(model, [*PAIRS, same, *PAIRS], **SETTINGS)
    with pytest.raises(DataError, match=r"row 1, rejected: is the same as chosen"):
        fit_reward(model, PAIRS, held_out=[PAIRS[0], same], **SETTINGS)
    with pytest.raises(DataError, match="row 0, chosen: is missing"):
        accuracy(model, [{"prompt": "Hi", "rejected": "Lima."}])
    with pytest.raises(ValueError, match="there is not a single record"):
        fit_reward(model, [])
    with pytest.raises(ValueError, match="epochs=0: give at least 1"):
        fit_reward(model, PAIRS, epochs=0)
    assert_same(weights(model), before)


def test_pairs_that_are_too_long_are_counted_and_left_out(capsys):
    long = {"prompt": "Hi", "chosen": "Lima.", "rejected": "7 " * 600}
    plain, with_long = model_of(), model_of()
    expected = fit_reward(plain, PAIRS, **SETTINGS)
    assert capsys.readouterr().out == ""
    assert fit_reward(with_long, [*PAIRS, long, long | {"chosen": "Oslo."}], **SETTINGS).losses == expected.losses
    assert capsys.readouterr().out == "2 of 22 pairs are longer than 512 tokens and were left out.\n"
    with pytest.raises(ValueError, match=r"1 of 1 pairs are longer than 512 tokens .* No pair is left"):
        fit_reward(plain, [long])


def test_equal_rewards_count_one_half():
    assert accuracy(lambda prompts, texts: torch.zeros(len(texts)), PAIRS) == 0.5
    assert accuracy(length_penalised(lambda prompts, texts: torch.zeros(len(texts)), -1.0), PAIRS) == 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(MODEL, tmp_path / "saved")
    return tmp_path / "saved"


def test_saved_and_loaded_it_gives_the_same_scores(folder):
    again = load_reward(folder, "cpu")
    assert (again.name, again.parameters, again.model.training) == (str(folder), MODEL.parameters, False)
    torch.testing.assert_close(again(PROMPTS, TEXTS), ALONE, rtol=5e-3, atol=5e-3)  # the file holds float16
    assert {weight.dtype for weight in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert MODEL.model.dtype == torch.float32


def test_the_saved_folder_is_a_sequence_classifier_of_transformers(folder):
    theirs = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chats = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
        for prompt, text in zip(PROMPTS, TEXTS, strict=True)
    ]
    batch = tokenizer.apply_chat_template(chats, padding=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        scores = theirs(**batch).logits
    assert tuple(scores.shape) == (len(TEXTS), 1)
    torch.testing.assert_close(load_reward(folder, "cpu")(PROMPTS, TEXTS), scores[:, 0], rtol=1e-4, atol=1e-5)


def change_config(folder: Path, **values: object) -> None:
    content = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps(content))


def without_head(folder: Path) -> None:
    kept = load_file(folder / "model.safetensors")
    del kept["score.weight"]
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "is damaged or incomplete"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "is damaged or incomplete"),
    "no head": (without_head, r"lacks weights: score\.weight"),
    "no tokenizer": (lambda f: [p.unlink() for p in f.glob("tokenizer*")], "is damaged or incomplete"),
    "two outputs": (lambda f: change_config(f, id2label={"0": "bad", "1": "good"}), "is damaged or incomplete"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_folder_is_named_with_the_mend(folder, damage, said):
    damage(folder)
    with pytest.raises(CannotLoad, match=rf"{folder.name}.* {said}.*Save it again"):
        load_reward(folder, "cpu")


def test_a_classifier_with_several_outputs_is_no_reward_model(tmp_path):
    model = new_reward_model(TINY)
    config = model.model.config
    config.num_labels = 3
    several = AutoModelForSequenceClassification.from_config(config)
    several.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CannotLoad, match="gives 3 numbers for an answer, and a reward model one"):
        load_reward(tmp_path, "cpu")


def test_a_missing_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    with pytest.raises(CannotLoad, match="'reward'"):
        load_reward()
    with pytest.raises(CannotLoad, match="There is no model 'nowhere'"):
        load_reward("nowhere")


def test_each_kind_of_model_refuses_to_be_loaded_as_the_other(folder, tmp_path):
    with pytest.raises(CannotLoad, match=r"gives scores and writes nothing: load it with course\.rewards\.load_reward"):
        load(folder, "cpu")
    save(TINY, tmp_path / "lm")
    with pytest.raises(CannotLoad, match=r"is a language model.*course\.rewards\.new_reward_model"):
        load_reward(tmp_path / "lm", "cpu")
