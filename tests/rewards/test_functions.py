"""What is made of rewards: ensembles, rules, and rewards of other rewards."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.rewards import Ensemble, clipped, length_penalised, rewards_of, true_reward
from course.world import REQUESTS, ask, score
from course.world.phrases import REFUSAL
from tests.rewards.small import MODEL, PROMPTS, TEXTS, model_of


def test_the_minimum_is_the_lowest_and_the_spread_the_disagreement():
    members = [model_of(seed) for seed in range(3)]
    ensemble = Ensemble(members)
    scores = ensemble.scores(PROMPTS, TEXTS)
    assert torch.equal(scores, torch.stack([member(PROMPTS, TEXTS) for member in members]))
    lowest, disagreement = ensemble.minimum(PROMPTS, TEXTS), ensemble.disagreement(PROMPTS, TEXTS)
    assert lowest.shape == disagreement.shape == (len(TEXTS),)
    assert torch.equal(lowest, scores.min(0).values)
    torch.testing.assert_close(disagreement, ((scores - scores.sum(0) / 3).pow(2).sum(0) / 2).sqrt())


def test_members_that_agree_have_no_spread():
    ensemble = Ensemble([MODEL, MODEL])
    assert (ensemble.disagreement(PROMPTS, TEXTS) == 0).all()
    torch.testing.assert_close(ensemble.minimum(PROMPTS, TEXTS), MODEL(PROMPTS, TEXTS))


def test_an_ensemble_has_members():
    with pytest.raises(ValueError, match="two members or more, and this one 1"):
        Ensemble([MODEL])


def test_the_true_reward_is_the_worlds():
    questions = [ask("capital", "France"), ask("capital", "Peru"), ask("sum", "2 + 2")]
    texts = ["The capital of France is Paris.", "The capital of Peru is Rome.", "4"]
    given = true_reward(questions, texts)
    assert given.tolist() == pytest.approx([score(q, t).total for q, t in zip(questions, texts, strict=True)])
    assert given[0] == 1.0 > given[2] > given[1] == 0.0
    help_me = next(request for request in REQUESTS if request.reply)
    assert true_reward([help_me, help_me], [help_me.reply, REFUSAL]).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match=r"prompts\[1\] is no question of course\.world"):
        true_reward([questions[0], "What?"], texts[:2])


def lengths(prompts, texts):
    return torch.tensor([float(len(text)) for text in texts])


@given(low=st.floats(-5, 5), width=st.floats(0.1, 20), per_word=st.floats(0, 2))
def test_rewards_of_rewards(low, width, per_word):
    given_ = lengths(PROMPTS, TEXTS)
    clip = clipped(lengths, low, low + width)(PROMPTS, TEXTS)
    assert clip.tolist() == pytest.approx([min(max(float(x), low), low + width) for x in given_], rel=1e-5)
    words = torch.tensor([len(text.split()) for text in TEXTS])
    torch.testing.assert_close(length_penalised(lengths, per_word)(PROMPTS, TEXTS), given_ - per_word * words)


def test_limits_the_wrong_way_round():
    with pytest.raises(ValueError, match=r"low=2\.0 must be below high=1\.0"):
        clipped(lengths, 2.0, 1.0)


@pytest.mark.parametrize("made", [list, np.array, torch.tensor])
def test_what_a_reward_function_gives_is_one_number_for_each_answer(made):
    def gives(values: list, name: str = "reward") -> torch.Tensor:
        return rewards_of(lambda prompts, texts: made(values), ["Hi", "Ho"], ["a", "b"], name)

    assert gives([1.0, 2.0]).tolist() == [1.0, 2.0]
    for values in ([1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]]):
        with pytest.raises(ValueError, match=r"watch gave shape \(.*\) for 2 answers: one number for each"):
            gives(values, "watch")
    with pytest.raises(ValueError, match=r"reward is not a number \(nan\) for 'Ho', answered 'b'"):
        gives([1.0, float("nan")])
