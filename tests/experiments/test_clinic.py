"""The clinic: its healthy lines are those of course.rl, each fault is where it is said to be, and the rules find it."""

import dataclasses
import math

import pytest
import torch

from course.experiments.clinic import (
    PATIENTS,
    RULES,
    TITLES,
    Setup,
    agreement,
    charts,
    decision_order,
    patients,
    run,
    seeds,
    small_ppo,
    stored,
    triage,
)
from course.losses.policy import clipped_policy_loss, entropy, masked_mean
from course.models import LM
from course.rewards import true_reward
from course.rl import FixedKL, PPOConfig, ppo
from course.rl import token_rewards as the_loops
from course.rollouts import Rollouts
from course.world import Request, country_questions
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
FINDINGS = {"healthy": "healthy"} | {name: patient.finding for name, patient in PATIENTS.items()}


def tiny(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def vowels(prompts, texts) -> torch.Tensor:
    return torch.tensor([float(sum(map(text.count, "aeiou"))) for text in texts])


def batch(seed: int = 0, count: int = 3, width: int = 5) -> dict[str, torch.Tensor]:
    """Log-probabilities and advantages of answers of 5, 4 and 1 tokens, zero where nothing counts."""
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.arange(width) < torch.tensor([[5], [4], [1]])).float()
    drawn = torch.randn(4, count, width, generator=generator) * mask
    return {"logps": drawn[0], "old_logps": drawn[1], "ref_logps": drawn[2], "advantages": drawn[3], "mask": mask}


# --- the healthy lines ------------------------------------------------------------------------------------------------


def test_healthy_rewards_of_tokens_are_the_loops():
    b, scores = batch(), torch.tensor([1.0, -2.0, 0.5])
    given = (scores, b["logps"], b["ref_logps"], b["mask"], 0.3)
    torch.testing.assert_close(run.token_rewards(*given), the_loops(*given))


def test_healthy_policy_loss_and_its_gradient_are_the_librarys():
    b = batch()
    gradients = []
    for loss in (run.policy_loss, lambda *args: clipped_policy_loss(*args).loss):
        logps = b["logps"].clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(logps, b["old_logps"], b["advantages"], b["mask"], 0.2), logps)[0])
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().sum() > 0


def test_healthy_bonus_is_the_mean_entropy_of_the_tokens_that_count():
    logits, mask = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1)), batch()["mask"]
    torch.testing.assert_close(run.exploration(logits, mask), masked_mean(entropy(logits), mask))


def test_a_healthy_run_is_the_loops_run():
    # One question and one minibatch: then the order, in which the two differ, is none.
    questions = [Request("What is 1 + 2?", "")] * 4
    own, other = tiny(), tiny()
    setup = Setup(
        reward=vowels,
        rollout_batch_size=4,
        mini_batch_size=4,
        epochs=3,
        max_new_tokens=6,
        learning_rate=3e-3,
        bonus=0.01,
    )
    settings = {
        entry: getattr(setup, entry)
        for entry in (
            "rollout_batch_size",
            "mini_batch_size",
            "epochs",
            "max_new_tokens",
            "learning_rate",
            "value_learning_rate",
        )
    }
    settings = PPOConfig(**settings, entropy_bonus=0.01)
    watched = run.true_reward
    run.true_reward = vowels  # a Request of this kind has no true score that varies
    try:
        record = small_ppo(own, questions, setup, iterations=3, seed=2)
    finally:
        run.true_reward = watched
    expected = ppo(other, vowels, questions, iterations=3, kl=FixedKL(0.05), settings=settings, seed=2)
    for name, key in {"reward": "reward", "kl": "kl", "entropy": "entropy", "value error": "value_error"}.items():
        assert record.curves[name] == pytest.approx([past[key] for past in expected.history], abs=1e-4), name
    assert max(record.curves["kl"]) > 1e-3
    for one, two in zip(own.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=2e-4)


def test_a_run_names_what_it_lacks():
    with pytest.raises(ValueError, match="24 answers an iteration need as many questions, but there are 2"):
        small_ppo(tiny(), country_questions(["France"])[:2], iterations=1)
    with pytest.raises(ValueError, match="iterations=0"):
        small_ppo(tiny(), country_questions(["France"]), Setup(rollout_batch_size=2), iterations=0)


def test_a_run_leaves_numbers_and_answers():
    record = small_ppo(
        tiny(), country_questions(["France"]), Setup(rollout_batch_size=5, mini_batch_size=2), iterations=2, seed=1
    )
    assert {len(curve) for curve in record.curves.values()} == {2} and set(record.curves) == set(TITLES)
    assert [len(some) for some in record.about.values()] == [4, 4] and record.about["first"][0][0].endswith("?")


# --- the faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, patient in PATIENTS.items() if patient.entry != "comparison"])
def test_a_patient_differs_in_its_entry_and_in_nothing_else_that_is_not_named(name):
    patient, healthy = PATIENTS[name], Setup()
    setup = patient.setup(tiny())
    changed = {f.name for f in dataclasses.fields(Setup) if getattr(setup, f.name) != getattr(healthy, f.name)}
    assert changed == {patient.entry, *patient.besides}


def test_lines_show_what_is_wrong_beside_what_is_right():
    assert PATIENTS["B"].line().splitlines() == [
        " def policy_loss(...):",
        "-    ratio = (logps - old_logps).exp()",
        "+    ratio = (logps - logps.clone()).exp()",
        "     gain = torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)",
        "     return -(gain * mask).sum() / mask.sum()",
    ]
    assert PATIENTS["F"].line() == "-learning_rate = 0.0002\n+learning_rate = 0.002"
    assert PATIENTS["A"].line().startswith("def above_the_group(")
    assert '+    return {"prompt": prompt, "chosen": worse, "rejected": better}' in PATIENTS["E"].line()


def test_a_single_answer_is_the_mean_of_its_group():
    questions = country_questions(["France", "Peru"])
    texts = ["The capital of France is Paris."] * len(questions)
    assert true_reward(questions, texts).std() > 0
    assert patients.above_the_group(questions, texts).tolist() == [0.0] * len(questions)


def test_without_a_stop_gradient_the_loss_is_the_same_and_its_gradient_zero():
    b = batch()
    logps = b["logps"].clone().requires_grad_()
    rest = (b["advantages"], b["mask"], 0.2)
    sick = patients.policy_loss(logps, b["logps"], *rest)
    healthy = run.policy_loss(logps, b["logps"], *rest)
    assert sick.item() == pytest.approx(healthy.item())
    assert torch.autograd.grad(sick, logps)[0].abs().max() == 0
    assert torch.autograd.grad(healthy, logps)[0].abs().max() > 0


def test_sums_are_means_times_the_number_of_tokens():
    b, logits = batch(), torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1))
    tokens = float(b["mask"].sum())
    torch.testing.assert_close(patients.exploration(logits, b["mask"]), tokens * run.exploration(logits, b["mask"]))
    given = (b["logps"], b["old_logps"], b["advantages"], b["mask"], 0.2)
    torch.testing.assert_close(patients.summed_policy_loss(*given), tokens * run.policy_loss(*given))


def test_the_wrong_sign_pays_for_what_should_cost():
    b, nothing = batch(), torch.zeros(3)
    rest = (b["logps"], b["ref_logps"], b["mask"], 0.3)
    torch.testing.assert_close(patients.token_rewards(nothing, *rest), -run.token_rewards(nothing, *rest))


def test_drafts_put_the_better_answer_first(monkeypatch):
    questions = country_questions(["France"])[:1]
    texts = ["I do not know.", "The capital of France is Paris.", "Paris"]

    def answered(policy, rows, **settings) -> Rollouts:
        nothing = torch.zeros(len(texts), 1)
        return Rollouts(nothing, nothing, nothing, nothing, nothing, texts, [True] * len(texts))

    monkeypatch.setattr(patients, "sample", answered)
    made = patients.drafts(tiny(), questions, seed=0)
    assert {(better, worse) for _, better, worse in made} == {
        (texts[1], texts[0]),
        (texts[1], texts[2]),
        (texts[2], texts[0]),
    }


def test_agreement_is_the_share_of_pairs_in_which_the_better_answer_gets_more():
    question = country_questions(["France"])[0]
    right, wrong = "The capital of France is Paris.", "The capital of France is Rome."
    pairs = [(question, right, wrong), (question, right, "Rome.")]
    assert agreement(true_reward, pairs) == (1, 1)
    assert agreement(lambda asked, texts: -true_reward(asked, texts), pairs) == (0, 0)
    assert agreement(patients.brief, pairs) == (0.5, 1)  # fooled by length, and by nothing else
    assert agreement(patients.above_the_group, pairs) == (0.5, 0.5)
    with pytest.raises(ValueError, match="Of 1 pairs none"):
        agreement(true_reward, pairs[1:])


# --- the stored runs and the rules ------------------------------------------------------------------------------------


def test_every_patient_is_stored_with_every_curve():
    assert len(seeds()) >= 5
    for seed in seeds():
        for name in FINDINGS:
            history = stored(name, seed).curves
            assert set(history) == set(TITLES) and {len(curve) for curve in history.values()} == {10}
            assert all(math.isfinite(number) for curve in history.values() for number in curve)
        assert max(stored("E", seed).measured.values()) < 0.5 < min(stored("D", seed).measured.values())
    assert stored("D").about["last"] and not stored("D", seeds()[-1]).about
    with pytest.raises(ValueError, match=r"No run with 'Z' is stored\. There are: healthy, A, B"):
        stored("Z")


@pytest.mark.parametrize("name", FINDINGS)
def test_the_rules_name_what_is_wrong(name):
    found = {seed: triage(stored(name, seed).curves) for seed in seeds()}
    expected = dict.fromkeys(seeds(), FINDINGS[name])
    if name == "D":  # on this seed ten iterations were not enough to find the way around the quality
        assert found.pop(3) == "healthy" and expected.pop(3)
    assert found == expected


def test_a_single_peak_of_the_value_error_is_no_finding():
    history = dict(stored("healthy").curves)
    first, *others = history["value error"]
    assert triage(history | {"value error": [first, 10 * first, *others[1:]]}) == "healthy"
    assert triage(history | {"value error": [first, 10 * first, 10 * first, *others[2:]]}) == "values"


def test_every_finding_is_a_rules_and_every_rule_has_its_patient():
    assert {patient.finding for patient in PATIENTS.values()} == {rule.name for rule in RULES} | {"healthy"}


def test_reveal_says_fault_and_line(capsys):
    patients.reveal("F", "B")
    said = capsys.readouterr().out
    assert said.index("Patient F: too high a learning rate") < said.index("Patient B: a missing stop-gradient")
    assert "+learning_rate = 0.002" in said


def test_the_rules_are_drawn_in_their_order():
    said = [annotation.text.replace("<br>", " ") for annotation in decision_order().layout.annotations]
    places = [next(i for i, text in enumerate(said) if rule.question in text) for rule in RULES]
    assert places == sorted(places)
    assert all(any(rule.look in text for text in said) for rule in RULES)


def test_charts_draw_the_patients_beside_the_healthy_run():
    fig = charts("A", "B", curves=["reward", "kl"])
    assert [trace.name for trace in fig.data] == ["healthy", "A", "B"] * 2
    assert fig.layout.title.text == "Patients A and B"
    assert fig.data[0].line.color != fig.data[1].line.color
