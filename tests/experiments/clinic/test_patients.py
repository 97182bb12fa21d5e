"""Each fault of the clinic is where it is said to be."""

import dataclasses

import pytest
import torch

from course.experiments.clinic import PATIENTS, Setup, agreement, patients, run
from course.rewards import true_reward
from course.rollouts import Rollouts
from course.world import country_questions
from tests.experiments.clinic.cases import batch, tiny


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
