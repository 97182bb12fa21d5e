"""Training on preferences: what a step learns, what is left out, resuming."""

import math
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course.formats import DataError, as_messages, preference_to_unpaired
from course.losses.preference import dpo_loss
from course.models import LM, clone, with_lora
from course.preferences import DPO, IPO, KTO, ORPO, SimPO, fit, fit_preferences, sequence_logps
from course.train import TrainingStopped, chat_examples, encode_answers
from tests.preferences.small import PAIRS, tiny
from tools.tokenizer import new_tokenizer

SINGLES = [single for pair in PAIRS for single in preference_to_unpaired(pair)]
METHODS = [DPO(), DPO(per_token=True), IPO(), IPO(per_token=False), KTO(), ORPO(), SimPO()]
FAST = {"epochs": 2, "batch_size": 2, "learning_rate": 1e-3, "seed": 3}


def data(method) -> list[dict]:
    return SINGLES if isinstance(method, KTO) else PAIRS


def weights(lm: LM) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in lm.model.parameters()])


def test_the_first_loss_of_dpo_is_log_2_and_the_margin_is_0():
    run = fit_preferences(tiny(), PAIRS, DPO(), **FAST)
    assert run.losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert run.measured["margin"][0] == pytest.approx(0, abs=1e-5) and len(run.measured["margin"]) == len(run.losses)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_widens_the_gap_between_good_and_bad(method):
    lm = tiny()
    prompts = [p["prompt"] for p in PAIRS]

    def gap(lm: LM) -> float:
        one, other = (
            sequence_logps(lm, prompts, [p[side] for p in PAIRS]).mean_logps for side in ("chosen", "rejected")
        )
        return float((one - other).mean())

    before = gap(lm)
    run = fit_preferences(lm, data(method), method, **(FAST | {"epochs": 8}))
    assert gap(lm) > before + 0.1 and run.losses[-1] < run.losses[0]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("lora", [False, True])
def test_a_step_in_parts_equals_the_step_of_the_whole_batch(method, lora):
    """Also of methods whose loss is no mean over the pairs: KTO has a reference point, ORPO a mean over tokens."""
    whole, parts = (with_lora(tiny(), rank=2) if lora else tiny() for _ in range(2))
    options = {"epochs": 2, "learning_rate": 1e-3, "seed": 3}
    one = fit_preferences(whole, data(method), method, batch_size=4, **options)
    many = fit_preferences(parts, data(method), method, batch_size=1, accumulate=4, **options)
    assert many.losses == pytest.approx(one.losses, rel=1e-4, abs=1e-5) and many.tokens == one.tokens
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=2e-5)


def test_the_steps_are_those_of_a_plain_loop_with_a_frozen_reference():
    lm, plain, reference = tiny(), tiny(), tiny()
    run = fit_preferences(lm, PAIRS, DPO(beta=0.5), epochs=2, batch_size=len(PAIRS), learning_rate=1e-3, seed=0)
    optimizer = torch.optim.AdamW(plain.model.parameters(), lr=1e-3, weight_decay=0.0)

    def sums(lm: LM, side: str) -> torch.Tensor:
        each = []
        for pair in PAIRS:
            prompt_ids, [answer] = encode_answers(lm, pair["prompt"], [pair[side]])
            scores = lm.model(input_ids=torch.tensor([prompt_ids + answer])).logits[0, len(prompt_ids) - 1 : -1]
            each.append(torch.distributions.Categorical(logits=scores).log_prob(torch.tensor(answer)).sum())
        return torch.stack(each)

    losses = []
    for rate in (1e-3, 5e-4):  # the loop's schedule
        optimizer.param_groups[0]["lr"] = rate
        with torch.no_grad():
            ref = sums(reference, "chosen"), sums(reference, "rejected")
        loss = dpo_loss(sums(plain, "chosen"), sums(plain, "rejected"), *ref, beta=0.5).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert run.losses == pytest.approx(losses, abs=1e-5)
    torch.testing.assert_close(weights(lm), weights(plain), rtol=0, atol=2e-5)


def test_a_reference_that_is_given_is_the_one_that_counts():
    far = fit_preferences(tiny(), PAIRS, DPO(), reference=tiny(seed=1), **FAST)
    near = fit_preferences(tiny(), PAIRS, DPO(), reference=tiny(), **FAST)
    assert near.losses == fit_preferences(tiny(), PAIRS, DPO(), **FAST).losses
    assert abs(far.losses[0] - math.log(2)) > 1e-4
    with pytest.raises(ValueError, match="ORPO has no reference"):
        fit_preferences(tiny(), PAIRS, ORPO(), reference=tiny())


def test_a_reference_of_another_tokenizer_is_refused():
    lm, other = tiny(), tiny()
    other = replace(other, tokenizer=new_tokenizer(["Other words."], size=300))
    with pytest.raises(ValueError, match="reference 'tiny' has another tokenizer"):
        fit_preferences(lm, PAIRS, reference=other)


def test_of_a_policy_with_adapters_these_are_part_of_the_reference():
    policy = with_lora(tiny(), rank=2)
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(0))
    alone = fit_preferences(clone(policy), PAIRS, DPO(), **FAST)
    beside = fit_preferences(clone(policy), PAIRS, DPO(), reference=clone(policy), **FAST)
    assert alone.losses == pytest.approx(beside.losses, abs=1e-5)
    assert alone.losses[0] == pytest.approx(math.log(2), abs=1e-6)


def test_demonstrations_take_the_share_that_was_asked_for(monkeypatch):
    seen = []
    real = fit.batch_logps
    monkeypatch.setattr(fit, "batch_logps", lambda lm, rows, parts: seen.append(len(rows)) or real(lm, rows, parts))
    shown = chat_examples(
        tiny(), [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}]
    )
    run = fit_preferences(tiny(), PAIRS * 3, sft_examples=shown, sft_share=0.25, batch_size=4, seed=0)
    assert len(run.losses) == 5 and sum(seen) == 2 * 15 + 5  # 15 pairs and 5 demonstrations make 20 examples
    with pytest.raises(ValueError, match="sft_share=1"):
        fit_preferences(tiny(), PAIRS, sft_examples=shown, sft_share=1)
    with pytest.raises(ValueError, match="There are no sft_examples"):
        fit_preferences(tiny(), PAIRS, sft_share=0.1)


def test_demonstrations_keep_what_is_demonstrated():
    asked, said = "Hi", "Ho ho."
    shown = chat_examples(
        tiny(), [{"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}]
    )
    kept, lost = tiny(), tiny()
    fit_preferences(kept, PAIRS, sft_examples=shown, sft_share=0.5, **FAST)
    fit_preferences(lost, PAIRS, **FAST)
    assert float(sequence_logps(kept, [asked], [said]).logps) > float(sequence_logps(lost, [asked], [said]).logps) + 1


def test_pairs_that_prefer_nothing_are_left_out_and_counted(capsys):
    equal = {"prompt": "Where?", "chosen": "Here.", "rejected": "Here."}
    late = {"prompt": "Where?", "chosen": "word " * 60 + "a", "rejected": "word " * 60 + "b"}
    full = {"prompt": "where " * 60, "chosen": "Here.", "rejected": "There."}
    run = fit_preferences(tiny(context=60), [*PAIRS, equal, late, full], **(FAST | {"batch_size": 16}))
    assert len(run.losses) == 2
    assert capsys.readouterr().out.splitlines()[0] == (
        "Of 8 pairs, left out: 1 whose answers are equal, 1 whose answers are equal once cut to the model's context, "
        "1 whose prompt fills the model's context."
    )
    with pytest.raises(ValueError, match="No pairs to learn from: of 1, 1 whose answers are equal"):
        fit_preferences(tiny(), [equal])
    with pytest.raises(ValueError, match="not a single record"):
        fit_preferences(tiny(), [])


def test_a_record_of_another_kind_is_named():
    with pytest.raises(DataError, match="chosen"):
        fit_preferences(tiny(), SINGLES, DPO())
    with pytest.raises(DataError, match="completion"):
        fit_preferences(tiny(), PAIRS, KTO())


def test_ktos_reference_point_is_scored_on_answers_to_other_prompts():
    lm = tiny()
    given = [encode_answers(lm, s["prompt"], [s["completion"]]) for s in SINGLES]
    for item in fit.encode_singles(lm, SINGLES, random.Random(0)):
        assert (item["prompt_ids"], [item["completion_ids"]]) in given
        assert (item["prompt_ids"], [item["mismatched_ids"]]) not in given  # an answer that was never given to it
    with pytest.raises(ValueError, match="All 2 records have the same prompt"):
        fit_preferences(lm, SINGLES[:2], KTO())


@settings(deadline=None)
@given(prompts=st.lists(st.sampled_from("abc"), min_size=2, max_size=9), seed=st.integers(0, 99))
def test_a_partner_always_has_another_prompt(prompts, seed):
    if len(set(prompts)) == 1:
        with pytest.raises(ValueError, match="same prompt"):
            fit._mismatched(prompts, random.Random(seed))
    else:
        partners = fit._mismatched(prompts, random.Random(seed))
        assert all(prompts[k] != prompts[i] for i, k in enumerate(partners))


def test_kto_takes_records_of_texts_and_of_messages_together():
    texts = [
        {"prompt": "Hi", "completion": "Lima.", "label": True},
        {"prompt": "Ho", "completion": "No.", "label": False},
    ]
    mixed = [texts[0], as_messages(texts[1])]
    assert fit_preferences(tiny(), mixed, KTO()).losses == fit_preferences(tiny(), texts, KTO()).losses


def test_kto_learns_from_good_answers_alone_too():
    run = fit_preferences(tiny(), [s for s in SINGLES if s["label"]], KTO(), **FAST)
    assert all(map(math.isfinite, run.measured["desirable reward"]))
    assert all(map(math.isnan, run.measured["undesirable reward"]))


def test_weights_that_give_no_numbers_stop_the_run():
    lm = tiny()
    with torch.no_grad():
        next(lm.model.parameters()).fill_(math.nan)
    with pytest.raises(TrainingStopped, match="loss is nan at step 0"):
        fit_preferences(lm, PAIRS, DPO(), reference=tiny(), **FAST)


def test_held_out_records_are_measured_and_not_learnt():
    with_them = fit_preferences(one := tiny(), PAIRS[:3], held_out=PAIRS[3:], **FAST)
    fit_preferences(other := tiny(), PAIRS[:3], **FAST)
    assert [step for step, _ in with_them.held_out] == [0, 2, 4]
    assert with_them.held_out[0][1] == pytest.approx(math.log(2), abs=1e-6)
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", [DPO(), KTO()], ids=str)
def test_a_run_that_was_cut_short_ends_as_if_it_had_not_been(tmp_path, monkeypatch, method):
    whole, cut, state = tiny(), tiny(), tmp_path / "run.state"
    expected = fit_preferences(whole, data(method), method, **FAST)
    asked = iter([False, True])

    class Interrupted:
        def __enter__(self):
            return lambda: next(asked, False)

        def __exit__(self, *error):
            return None

    with monkeypatch.context() as patch:
        patch.setattr("course.resume.deferred_interrupt", Interrupted)
        assert fit_preferences(cut, data(method), method, state=state, **FAST).interrupted
    resumed = tiny()
    run = fit_preferences(resumed, data(method), method, state=state, **FAST)
    assert run.losses == pytest.approx(expected.losses, abs=1e-6) and run.measured.keys() == expected.measured.keys()
    assert all(len(values) == len(run.losses) for values in run.measured.values())
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=1e-6)


def test_another_method_does_not_go_on_with_a_runs_state(tmp_path, monkeypatch):
    class Interrupted:
        def __enter__(self):
            return lambda: True

        def __exit__(self, *error):
            return None

    state = tmp_path / "run.state"
    with monkeypatch.context() as patch:
        patch.setattr("course.resume.deferred_interrupt", Interrupted)
        fit_preferences(tiny(), PAIRS, DPO(), state=state, **FAST)
    with pytest.raises(RuntimeError, match="another run"):
        fit_preferences(tiny(), PAIRS, replace(DPO(), beta=0.2), state=state, **FAST)
