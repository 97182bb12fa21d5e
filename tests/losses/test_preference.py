"""DPO and its relatives against TRL, against plain sums in float64, and by their invariances (claims V1 and V6)."""

import json
import math
import sys
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from course.losses.preference import (
    dpo_loss,
    ipo_loss,
    kto_loss,
    orpo_loss,
    simpo_loss,
)
from course.preferences import library
from course.preferences.library import SETTINGS, Answers, beside, ours, stored, theirs, with_gradients
from tools.trl_losses import random_answers

EXPERIMENTAL = {
    "ORPO": "trl.experimental.orpo",
    "SimPO": "trl.experimental.cpo",
    "SimPO, smoothed": "trl.experimental.cpo",
}
LOGPS = st.floats(-60, -0.01)
PAIRS = st.lists(st.tuples(LOGPS, LOGPS, LOGPS, LOGPS), min_size=1, max_size=6)


def columns(rows: list[tuple[float, ...]], dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(column, dtype=dtype) for column in zip(*rows, strict=True))


def our(name: str):
    return lambda answers: ours(name, answers).loss


# --- against the library ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SETTINGS)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 9))
def test_value_and_gradient_are_those_of_trls_trainer(name, seed, count):
    if name in EXPERIMENTAL:
        pytest.importorskip(EXPERIMENTAL[name])
    answers = random_answers(count, seed)
    loss, gradient = with_gradients(our(name), answers)
    other, slopes = with_gradients(partial(theirs, name), answers)
    assert loss == pytest.approx(other, rel=1e-5, abs=1e-6)
    torch.testing.assert_close(gradient, slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
def test_value_and_gradient_are_the_stored_ones_of_trl(name):
    """Needs no TRL: what its trainers gave stands in a file."""
    answers, values = stored()
    loss, gradient = with_gradients(our(name), answers)
    assert loss == pytest.approx(values[name]["loss"], rel=1e-5)
    torch.testing.assert_close(gradient, torch.tensor(values[name]["gradient"]), rtol=1e-4, atol=1e-6)
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("name", SETTINGS)
def test_what_stands_beside_ours_comes_from_the_trainer_where_there_is_one(name):
    if name in EXPERIMENTAL:
        pytest.importorskip(EXPERIMENTAL[name])
    assert beside(name).source == "trainer"


@pytest.mark.parametrize("name", SETTINGS)
def test_without_the_trainer_the_stored_values_stand_in(name, monkeypatch):
    if name not in EXPERIMENTAL:
        monkeypatch.setitem(sys.modules, "trl", None)  # an import of it then fails
    for module in EXPERIMENTAL.values():
        monkeypatch.setitem(sys.modules, module, None)
    found = beside(name)
    assert found.source == "stored"
    assert found.ours == pytest.approx(found.theirs, rel=1e-5)
    assert found.gradient_apart < 1e-5


def test_the_stored_answers_try_what_could_go_wrong():
    """Answers of several lengths, pairs in either order, and a reference point above 0, which KTO's clamp leaves."""
    answers, _ = stored()
    assert answers.chosen_tokens.unique().numel() > 2 and (answers.chosen_tokens != answers.rejected_tokens).any()
    chosen, rejected = answers.policy_chosen - answers.ref_chosen, answers.policy_rejected - answers.ref_rejected
    assert (chosen > rejected).any() and (chosen < rejected).any()
    assert ours("KTO", answers).metrics["kl"] > 0.1
    assert json.loads(library.STORED.read_text("utf-8"))["values"].keys() == SETTINGS.keys()


# --- against plain sums in float64 ------------------------------------------------------------------------------------


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def log_odds(logp: float) -> float:
    return logp - math.log(-math.expm1(logp))


def mean(values) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def smoothed(margin: float, share: float) -> float:
    return (1 - share) * softplus(-margin) + share * softplus(margin)


@settings(deadline=None, max_examples=50)
@given(rows=PAIRS, beta=st.floats(0.01, 10), share=st.floats(0, 0.49))
def test_dpo_by_hand(rows, beta, share):
    expected = mean(smoothed(beta * (c - rc - (r - rr)), share) for c, r, rc, rr in rows)
    loss = dpo_loss(*columns(rows), beta=beta, label_smoothing=share).loss
    assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(rows=PAIRS, beta=st.floats(0.01, 10))
def test_ipo_by_hand(rows, beta):
    expected = mean((c - rc - (r - rr) - 1 / (2 * beta)) ** 2 for c, r, rc, rr in rows)
    assert float(ipo_loss(*columns(rows), beta=beta).loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


KTO_ROWS = st.lists(st.tuples(LOGPS, LOGPS), min_size=0, max_size=5)


@settings(deadline=None, max_examples=50)
@given(
    KTO_ROWS, KTO_ROWS, st.lists(st.tuples(LOGPS, LOGPS), min_size=1, max_size=5), st.floats(0.05, 2), st.floats(0.1, 4)
)
def test_kto_by_hand(good, bad, others, beta, weight):
    assume(good or bad)
    point = max(0.0, mean(policy - ref for policy, ref in others))
    losses = [1 - sigmoid(beta * (policy - ref - point)) for policy, ref in good]
    losses += [weight * (1 - sigmoid(beta * (point - (policy - ref)))) for policy, ref in bad]
    empty = torch.zeros(0, dtype=torch.float64)
    (g, rg), (b, rb) = (columns(rows) if rows else (empty, empty) for rows in (good, bad))
    found = kto_loss(g, b, rg, rb, *columns(others), beta=beta, undesirable_weight=weight)
    assert float(found.loss) == pytest.approx(mean(losses), rel=1e-9, abs=1e-12)
    assert found.metrics["kl"] == pytest.approx(point)


MEANS = st.lists(st.tuples(st.floats(-20, -1e-6), st.floats(-20, -1e-6)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(rows=MEANS, lam=st.floats(0.01, 2), nll=st.floats(0, 10))
def test_orpo_by_hand(rows, lam, nll):
    expected = nll + lam * mean(softplus(log_odds(r) - log_odds(c)) for c, r in rows)
    found = orpo_loss(*columns(rows), torch.tensor(nll, dtype=torch.float64), lam=lam)
    assert float(found.loss) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(rows=MEANS, beta=st.floats(0.5, 10), gamma=st.floats(0, 5), share=st.floats(0, 0.49))
def test_simpo_by_hand(rows, beta, gamma, share):
    expected = mean(smoothed(beta * (c - r) - gamma, share) for c, r in rows)
    found = simpo_loss(*columns(rows), beta=beta, gamma=gamma, label_smoothing=share)
    assert float(found.loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_float32_is_near_float64(name, seed):
    """The value; and the gradient, which finite differences confirm."""
    answers = random_answers(5, seed)
    loss, gradient = with_gradients(our(name), answers)
    double = Answers(*(numbers.double() for numbers in answers))
    exact, slopes = with_gradients(our(name), double)
    assert loss == pytest.approx(exact, rel=1e-4, abs=1e-6)
    torch.testing.assert_close(gradient.double(), slopes, rtol=1e-3, atol=1e-6)
    step, differences = 1e-6, []
    for side in ("policy_chosen", "policy_rejected"):
        for i in range(5):
            moved = torch.zeros(5, dtype=torch.float64)
            moved[i] = step
            up, down = (
                float(ours(name, double._replace(**{side: getattr(double, side) + sign * moved})).loss)
                for sign in (1, -1)
            )
            differences.append((up - down) / (2 * step))
    torch.testing.assert_close(slopes, torch.tensor(differences, dtype=torch.float64), rtol=1e-4, atol=1e-6)


# --- what is extreme --------------------------------------------------------------------------------------------------


def answers_of(chosen: list[float], rejected: list[float], ref: float = -5.0, tokens: float = 4.0) -> Answers:
    sides = [torch.tensor(logps) for logps in (chosen, rejected)]
    same = torch.full_like(sides[0], ref)
    return Answers(*sides, same, same, same + 1, same, torch.full_like(same, tokens), torch.full_like(same, tokens))


@pytest.mark.parametrize("name", SETTINGS)
def test_log_probabilities_of_minus_ten_thousand_give_finite_numbers(name):
    far = [-1e4, -1.0, -1e4, -1e-3]
    loss, gradient = with_gradients(our(name), answers_of(far, far[::-1]))
    assert math.isfinite(loss) and gradient.isfinite().all()


def test_a_pair_ranked_wrongly_by_far_costs_its_distance():
    one = torch.zeros(1)
    assert float(dpo_loss(one - 1e4, one, one, one, beta=0.5).loss) == 5e3
    assert float(dpo_loss(one, one - 1e4, one, one, beta=0.5).loss) == 0
    assert float(simpo_loss(one - 1e4, one, beta=2.0, gamma=1.0).loss) == 20001
    assert float(kto_loss(one - 1e4, one - 1e4, one, one, one, one).loss) == 0.5  # the good one 1, the bad one 0


def test_equal_answers():
    """At the start, and wherever nothing is preferred."""
    logps = torch.tensor([-3.0, -8.0])
    same = (logps, logps, logps, logps)
    assert float(dpo_loss(*same).loss) == pytest.approx(math.log(2))
    assert float(dpo_loss(*same, label_smoothing=0.3).loss) == pytest.approx(math.log(2))
    assert float(ipo_loss(*same, beta=0.25).loss) == pytest.approx(4)
    assert float(kto_loss(*same, logps, logps).loss) == pytest.approx(0.5)
    assert float(orpo_loss(logps, logps, torch.tensor(2.0), lam=0.4).loss) == pytest.approx(2 + 0.4 * math.log(2))
    assert float(simpo_loss(logps, logps, gamma=0.0).loss) == pytest.approx(math.log(2))
    assert float(simpo_loss(logps, logps, gamma=1.5).loss) == pytest.approx(math.log1p(math.exp(1.5)))
    for found in (dpo_loss(*same), ipo_loss(*same), simpo_loss(logps, logps)):
        assert (found.metrics["margin"], found.metrics["accuracy"]) == (0, 0.5)


@settings(deadline=None, max_examples=50)
@given(rows=PAIRS)
def test_of_answers_of_one_token_sums_and_means_are_one(rows):
    one = torch.ones(len(rows), dtype=torch.float64)
    answers = Answers(*columns(rows), one, one, one, one)
    assert all(torch.equal(a, b) for a, b in zip(answers.sums, answers.means, strict=True))


def test_a_row_without_a_token_is_refused():
    """All of it masked: its mean is 0 / 0."""
    empty = torch.tensor([-1.0, 0.0]) / torch.tensor([2.0, 0.0])
    fine = torch.tensor([-1.0, -2.0])
    for call in (
        lambda: dpo_loss(fine, empty, fine, fine),
        lambda: ipo_loss(fine, empty, fine, fine),
        lambda: orpo_loss(fine, empty, torch.tensor(1.0)),
        lambda: simpo_loss(fine, empty),
    ):
        with pytest.raises(ValueError, match=r"rejected\S*\[1\] is nan, .* an answer without a token that counts"):
            call()


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e-7, -1e-30), st.floats(-3, -0.1))
def test_orpos_odds_are_stable_near_probability_1(near, other):
    """Where 1 - exp(log p) is 0 in float32."""
    chosen, rejected = torch.tensor([near], requires_grad=True), torch.tensor([other], requires_grad=True)
    assert float(torch.log(1 - chosen.detach().exp())) in (-math.inf, pytest.approx(-16, abs=1))
    found = orpo_loss(chosen, rejected, torch.tensor(0.0), lam=1.0)
    exact = softplus(log_odds(float(rejected.detach())) - log_odds(float(chosen.detach())))
    assert float(found.loss.detach()) == pytest.approx(exact, rel=1e-4)
    found.loss.backward()
    assert chosen.grad.isfinite().all() and rejected.grad.isfinite().all()
    assert rejected.grad >= 0 >= chosen.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("certain", ["chosen", "rejected", "both"])
def test_an_answer_of_probability_1_leaves_orpo_finite(dtype, certain):
    sides = [torch.tensor([0.0 if certain in (name, "both") else -1.0], dtype=dtype) for name in ("chosen", "rejected")]
    for side in sides:
        side.requires_grad_()
    loss = orpo_loss(*sides, torch.tensor(0.5), lam=0.5).loss
    loss.backward()
    assert loss.isfinite()
    assert all(side.grad.isfinite().all() for side in sides)


# --- invariances ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(rows=PAIRS)
def test_swapping_chosen_and_rejected_mirrors_the_margin(rows):
    c, r, rc, rr = columns(rows)
    both_ways = [
        (dpo_loss(c, r, rc, rr), dpo_loss(r, c, rr, rc)),
        (ipo_loss(c, r, rc, rr), ipo_loss(r, c, rr, rc)),
        (orpo_loss(c, r, c[0]), orpo_loss(r, c, c[0])),
        (simpo_loss(c, r), simpo_loss(r, c)),
    ]
    for one, other in both_ways:
        assert other.metrics["margin"] == pytest.approx(-one.metrics["margin"], abs=1e-9)
        assert other.metrics["accuracy"] == pytest.approx(1 - one.metrics["accuracy"], abs=1e-6)
        assert other.metrics["chosen reward"] == one.metrics["rejected reward"]


@settings(deadline=None, max_examples=50)
@given(rows=PAIRS, constants=st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_a_constant_added_to_policy_and_reference_changes_nothing(rows, constants):
    c, r, rc, rr = columns(rows)
    good, bad = constants
    moved = (c + good, r + bad, rc + good, rr + bad)
    for function in (dpo_loss, ipo_loss):
        torch.testing.assert_close(function(*moved).loss, function(c, r, rc, rr).loss, rtol=1e-7, atol=1e-9)
    kto, other = kto_loss(c, r, rc, rr, c, rc), kto_loss(*moved, c + good, rc + good)
    torch.testing.assert_close(other.loss, kto.loss, rtol=1e-7, atol=1e-9)
    assert other.metrics == pytest.approx(kto.metrics, abs=1e-7)


@settings(deadline=None, max_examples=50)
@given(rows=MEANS, constant=st.floats(-30, 0))
def test_simpo_knows_differences_only_and_orpo_more(rows, constant):
    c, r = columns(rows)
    torch.testing.assert_close(simpo_loss(c + constant, r + constant).loss, simpo_loss(c, r).loss, rtol=1e-7, atol=1e-9)
    zero = torch.zeros((), dtype=torch.float64)
    one, other = (float(orpo_loss(c + by, r + by, zero).loss) for by in (0, -1))
    if (c > r).all() and c.max() > -1 and r.min() > -5:
        assert one < other  # the same distance counts for more odds where the better answer is nearly certain


@settings(deadline=None, max_examples=50)
@given(rows=PAIRS)
def test_a_loss_of_a_batch_is_the_mean_of_its_pairs(rows):
    whole = columns(rows)
    for function in (dpo_loss, ipo_loss):
        alone = [float(function(*(column[i : i + 1] for column in whole)).loss) for i in range(len(rows))]
        assert float(function(*whole).loss) == pytest.approx(mean(alone))


# --- how hard each pulls, and where it stops --------------------------------------------------------------------------


def pull(loss, margin: float) -> float:
    """Minus the derivative of a loss by the policy's log-probability of the chosen answer."""
    chosen = torch.tensor([margin - 2.0], dtype=torch.float64, requires_grad=True)
    other = torch.tensor([-2.0], dtype=torch.float64)
    (slope,) = torch.autograd.grad(loss(chosen, other, other, other).loss, chosen)
    return -float(slope)


@settings(deadline=None, max_examples=50)
@given(beta=st.floats(0.02, 5), margin=st.floats(-30, 30))
def test_ipo_pulls_towards_its_margin_from_both_sides(beta, margin):
    loss, target = partial(ipo_loss, beta=beta), 1 / (2 * beta)
    assert pull(loss, target) == pytest.approx(0, abs=1e-9)
    assert pull(loss, margin) == pytest.approx(2 * (target - margin), abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(beta=st.floats(0.02, 2), margin=st.floats(-30, 30), more=st.floats(0.1, 5))
def test_dpo_pulls_less_and_less_and_never_stops(beta, margin, more):
    loss = partial(dpo_loss, beta=beta)
    assert pull(loss, margin) == pytest.approx(beta * sigmoid(-beta * margin))
    assert 0 < pull(loss, margin + more) <= pull(loss, margin)  # equal only where both are beta to 16 digits


@settings(deadline=None, max_examples=50)
@given(share=st.floats(0.01, 0.4), beta=st.floats(0.1, 1))
def test_smoothed_labels_give_dpo_a_margin_to_stop_at(share, beta):
    loss = partial(dpo_loss, beta=beta, label_smoothing=share)
    assert pull(loss, math.log((1 - share) / share) / beta) == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(beta=st.floats(0.05, 2), margin=st.floats(-20, 20), point=st.floats(-5, 5))
def test_kto_pulls_most_near_its_reference_point(beta, margin, point):
    def loss(chosen, rejected, ref_chosen, ref_rejected):
        none = chosen[:0]
        return kto_loss(chosen, none, ref_chosen, none, ref_chosen + point, ref_chosen, beta=beta)

    at = max(point, 0.0)
    assert pull(loss, margin) == pytest.approx(beta * sigmoid(beta * (margin - at)) * sigmoid(beta * (at - margin)))
    assert pull(loss, at) == pytest.approx(beta / 4)


# --- KTO's reference point --------------------------------------------------------------------------------------------


def test_ktos_reference_point_is_of_the_mismatched_answers_and_of_no_others():
    policy, ref = torch.tensor([-1.0, -2.0]), torch.tensor([-4.0, -6.0])
    mismatched, ref_mismatched = torch.tensor([-9.0, -7.0, -8.0]), torch.tensor([-10.0, -9.0, -9.5])
    sides = (policy, policy - 40, ref, ref)
    found = kto_loss(*sides, mismatched, ref_mismatched)
    assert found.metrics["kl"] == pytest.approx(1.5)
    other = kto_loss(*sides, policy, ref)  # as if the answers' own prompts had been taken
    assert other.metrics["kl"] == pytest.approx(3.5)
    assert float(other.loss) != pytest.approx(float(found.loss), abs=1e-3)
    below = kto_loss(*sides, mismatched - 9, ref_mismatched)
    assert below.metrics["kl"] == 0


def test_no_gradient_flows_into_the_reference_or_into_the_reference_point():
    leaves = [torch.tensor([-1.0 - i], requires_grad=True) for i in range(6)]
    kto_loss(*leaves).loss.backward()
    assert [leaf.grad is not None for leaf in leaves] == [True, True, False, False, False, False]
    for function in (dpo_loss, ipo_loss):
        leaves = [torch.tensor([-1.0 - i], requires_grad=True) for i in range(4)]
        function(*leaves).loss.backward()
        assert [leaf.grad is not None for leaf in leaves] == [True, True, False, False]


def test_weights_of_kto_weigh_the_two_kinds():
    one = torch.zeros(1)
    none = one[:0]
    good, bad = (kto_loss(*sides, *sides, one, one) for sides in ((one, none), (none, one)))
    both = kto_loss(one, one, one, one, one, one, desirable_weight=3.0, undesirable_weight=0.5)
    assert float(both.loss) == pytest.approx((3 * float(good.loss) + 0.5 * float(bad.loss)) / 2)
    assert math.isnan(good.metrics["undesirable reward"]) and math.isnan(bad.metrics["desirable reward"])


# --- what is refused --------------------------------------------------------------------------------------------------

FOUR = [torch.tensor([-1.0, -2.0])] * 4


@pytest.mark.parametrize("function", [dpo_loss, ipo_loss])
def test_what_is_no_batch_of_pairs_is_refused(function):
    with pytest.raises(ValueError, match=r"ref_rejected \(1,\) do not fit: .* one log-probability for each answer"):
        function(*FOUR[:3], FOUR[0][:1])
    with pytest.raises(ValueError, match=r"policy_chosen \(2, 1\), .* do not fit"):
        function(FOUR[0][:, None], *FOUR[1:])
    with pytest.raises(ValueError, match="The batch is empty"):
        function(*[FOUR[0][:0]] * 4)
    with pytest.raises(ValueError, match=r"policy_rejected\[1\] is -inf"):
        function(FOUR[0], torch.tensor([-1.0, -math.inf]), *FOUR[2:])
    for beta in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"beta=.* must be above 0"):
            function(*FOUR, beta=beta)


def test_settings_out_of_range_are_refused():
    for share in (-0.1, 0.5, 1.0):
        for call in (partial(dpo_loss, *FOUR), partial(simpo_loss, *FOUR[:2])):
            with pytest.raises(ValueError, match=r"label_smoothing=.* at least 0 and below 0\.5"):
                call(label_smoothing=share)
    with pytest.raises(ValueError, match=r"gamma=-1\.0 must be 0 or more"):
        simpo_loss(*FOUR[:2], gamma=-1.0)
    with pytest.raises(ValueError, match=r"lam=0\.0 must be above 0"):
        orpo_loss(*FOUR[:2], torch.tensor(1.0), lam=0.0)
    with pytest.raises(ValueError, match=r"undesirable_weight=0\.0 must be above 0"):
        kto_loss(*FOUR, *FOUR[:2], undesirable_weight=0.0)


def test_what_orpo_and_kto_cannot_use_is_refused():
    with pytest.raises(ValueError, match=r"highest log-probability is 0\.5"):
        orpo_loss(torch.tensor([0.5]), torch.tensor([-1.0]), torch.tensor(1.0))
    for nll in (torch.tensor([1.0]), torch.tensor(math.nan)):
        with pytest.raises(ValueError, match="chosen_nll must be one finite number"):
            orpo_loss(*FOUR[:2], nll)
    with pytest.raises(ValueError, match="There is no mismatched answer"):
        kto_loss(*FOUR, FOUR[0][:0], FOUR[0][:0])
    with pytest.raises(ValueError, match="there is no answer, good or bad"):
        kto_loss(*[FOUR[0][:0]] * 4, *FOUR[:2])
    with pytest.raises(ValueError, match=r"ref_undesirable_logps \(1,\) do not fit: .* \(U,\)"):
        kto_loss(*FOUR[:3], FOUR[0][:1], *FOUR[:2])


@settings(deadline=None, max_examples=50)
@given(
    places=st.lists(st.tuples(*[st.integers(-60, 0)] * 4), min_size=1, max_size=6),
    beta=st.floats(0.01, 5),
    seed=st.integers(0, 99),
)
def test_noise_of_a_millionth_decides_no_pair(places, beta, seed):
    """Neither which answers are ahead, nor that answers are equally likely, nor that a probability is at most 1."""
    exact = columns(places)
    noise = torch.Generator().manual_seed(seed)
    moved = [x * (1 + 1e-6 * torch.randn(x.shape, generator=noise, dtype=x.dtype)) + 1e-6 for x in exact]
    losses = [partial(dpo_loss, beta=beta), partial(ipo_loss, beta=beta)]
    losses += [lambda *x: simpo_loss(*x[:2], beta=beta), lambda *x: orpo_loss(*x[:2], x[0].mean().abs(), lam=beta)]
    for loss in losses:
        assert loss(*moved).metrics["accuracy"] == loss(*exact).metrics["accuracy"]
