"""What the stored runs on a real model say of the lessons' claims, and their numbers beside the toy's.

Serves the part "On a real model" of lessons 02 to 13. A claim is asked of the real model with a condition like that of
the lesson; where the lesson's is in units that only the toy has, such as the true score, with one on what can be
counted. It is seen on both if its condition holds on every stored seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from course.experiments.real import dpo, sft
from course.experiments.real.start import SMOLLM2
from course.experiments.store import Run, is_stored, of_condition, spread, stored

Runs = Mapping[str, Run]
"""The runs of one seed by condition."""


@dataclass(frozen=True)
class Row:
    """One number, of the toy and of the real model.

    Attributes:
        label: what is measured.
        toy: the name of this number in the evidence of the lesson's claim; none where the toy has no such number.
        real: the same of the runs of one seed on the real model.
    """

    label: str
    toy: str | None
    real: Callable[[Runs], float]


@dataclass(frozen=True)
class Asked:
    """A claim, asked of the real model: in which experiment, when it holds there, and what is shown of it."""

    experiment: str
    holds: Callable[[Runs], bool]
    rows: tuple[Row, ...]


def number(condition: str, name: str) -> Callable[[Runs], float]:
    """A measured number of one condition."""
    return lambda runs: float(runs[condition].measured[name])


def apart(above: Callable[[Runs], float], below: Callable[[Runs], float]) -> Callable[[Runs], float]:
    """The difference of two numbers."""
    return lambda runs: above(runs) - below(runs)


def margin(condition: str) -> Callable[[Runs], float]:
    """By how many nats held-out chosen answers, the short ones, gained on the rejected ones since the start."""
    of = apart(number(condition, "short"), number(condition, "long"))
    return apart(of, apart(number("before", "short"), number("before", "long")))


def raised(condition: str) -> Callable[[Runs], float]:
    """By how many nats held-out chosen answers, the short ones, became more probable since the start."""
    return apart(number(condition, "short"), number("before", "short"))


def _templates(runs: Runs) -> bool:
    other, own = (runs[name].measured for name in ("Llama-2 style", "its own"))
    return other["right"] < own["right"] - 0.2 or other["stopped"] < own["stopped"] - 0.2


def _padding(runs: Runs) -> bool:
    good, bad = (runs[name].measured for name in ("padding of its own", "padding = end of turn"))
    return bad["stopped"] < good["stopped"] - 0.4 and bad["end"] < good["end"] - 0.4


def _style(runs: Runs) -> bool:
    plain, warm = (runs[name].measured for name in ("plain", "polite"))
    return warm["polite"] > 0.9 and plain["polite"] < 0.1 and warm["words"] > plain["words"] + 4


SHARES = {"plain": 0.0, "a quarter polite": 0.25, "three quarters polite": 0.75, "polite": 1.0}


def _mixture(runs: Runs) -> bool:
    got = {name: runs[name].measured["polite"] for name in SHARES}
    steps = got["three quarters polite"] > got["a quarter polite"] + 0.2
    return steps and max(abs(got[name] - share) for name, share in SHARES.items()) < 0.2


def _passes(runs: Runs) -> bool:
    (run,) = runs.values()
    trained, held = run.curves["training"], run.curves["held out"]
    low = min(range(len(held)), key=held.__getitem__)
    return 0 < low < len(trained) and held[-1] > 1.03 * held[low] and trained[-1] < trained[low - 1]


def _lora(runs: Runs) -> bool:
    """Each at the rate with its lowest held-out loss; LoRA's is the higher one, and at its lowest it is far behind."""
    full, lora = (
        {condition.split(", ")[1]: run.measured for condition, run in runs.items() if condition.startswith(kind)}
        for kind in ("full", "LoRA")
    )
    best, best_lora = (min(tried, key=lambda rate: tried[rate]["loss"]) for tried in (full, lora))
    close = lora[best_lora]["right"] >= full[best]["right"] - 0.1
    return close and float(best_lora) > float(best) and lora[min(lora, key=float)]["loss"] > 1.5 * full[best]["loss"]


def _mask(runs: Runs) -> bool:
    masked, without = (runs[name].measured for name in ("with mask", "without"))
    return without["user loss"] < masked["user loss"] - 0.2 and without["right"] <= masked["right"] + 0.05


def _calibrated(runs: Runs) -> bool:
    (run,) = runs.values()
    return run.measured["miscalibrated"] < 0.15 and run.curves["observed"][-1] > run.curves["observed"][0] + 0.1


def _falling_returns(runs: Runs) -> bool:
    (run,) = runs.values()
    best = run.curves["right, by right"]
    half = len(best) // 2
    return best == sorted(best) and best[half] - best[0] > best[-1] - best[half]


def _overrated(runs: Runs) -> bool:
    (run,) = runs.values()
    longer, worth = run.curves["words, by length"], run.curves["right, by length"]
    return longer == sorted(longer) and worth[-1] < worth[0] - 0.1


def _better(runs: Runs) -> bool:
    run, before = runs["exact, beta 0.02"].measured, runs["before"].measured
    return run["reward, last"] > run["reward, first"] + 0.2 and run["right"] > before["right"] and run["kl, last"] < 3


def _beta_in_ppo(runs: Runs) -> bool:
    pairs = [[runs[f"{reward}, beta {beta}"].measured for beta in ("0.02", "0.2")] for reward in ("exact", "length")]
    nearer = all(large["kl, last"] < small["kl, last"] for small, large in pairs)
    return nearer and all(large["reward, last"] < small["reward, last"] for small, large in pairs)


def _hacked(runs: Runs) -> bool:
    run, before = runs["length, beta 0.02"].measured, runs["before"].measured
    grown = run["words"] > 1.5 * before["words"] and run["reward, last"] > run["reward, first"] + 0.5
    return grown and run["right"] < before["right"] - 0.02


def _lists(runs: Runs) -> bool:
    return runs["lists, beta 0.02"].measured["lists"] > runs["before"].measured["lists"] + 0.3


def _collapse(runs: Runs) -> bool:
    run, before = runs["lists, beta 0.02"].measured, runs["before"].measured
    return run["entropy, last"] < run["entropy, first"] - 0.05 and run["distinct"] < before["distinct"] - 0.1


def _opinions(runs: Runs) -> bool:
    words = {name: runs[name].measured["words"] for name in ("before", "concise", "expansive")}
    return words["concise"] < words["before"] - 0.5 and words["expansive"] > words["before"] + 2


def _displaced(runs: Runs) -> bool:
    wider = margin("concise")(runs) > 1.25 * margin(dpo.SFT)(runs)
    less = raised("concise")(runs) < raised(dpo.SFT)(runs) - 0.3
    followed = [
        raised("concise")(runs),
        *runs["concise"].curves["chosen reward"],
        *runs["expansive"].curves["chosen reward"],
    ]
    return wider and less and min(followed) < 0


BETAS = {"0.02": "concise, beta 0.02", "0.1": "concise", "0.5": "concise, beta 0.5"}


def _nearer(runs: Runs) -> bool:
    drifts = [runs[name].measured["drift"] for name in BETAS.values()]
    return drifts[0] > drifts[1] > drifts[2]


def _length(runs: Runs) -> bool:
    words = {name: runs[name].measured["words"] for name in ("before", "expansive", "expansive, means, beta 2")}
    grown = words["expansive"] > words["before"] + 1
    return grown and words["expansive, means, beta 2"] < words["expansive"] - 1


def _moving(runs: Runs) -> bool:
    moving, frozen = (runs[name].measured["drift"] for name in (dpo.MOVING, "concise"))
    return moving > 1.2 * frozen and margin(dpo.MOVING)(runs) > 1.2 * margin("concise")(runs)


def lost(method: str) -> Callable[[Runs], float]:
    """How much of the right order of held-out pairs 30% flipped labels cost a method."""
    return apart(number(f"clean: {method}", "in order"), number(f"30% flipped: {method}", "in order"))


def _from_singles(runs: Runs) -> bool:
    return runs["clean: KTO"].measured["in order"] > runs["clean: DPO"].measured["in order"] - 0.1


def _judge(runs: Runs) -> bool:
    letters, alone = runs["letters"].measured, runs["verdicts"].measured
    better = letters["right"] > letters["right, one order"] + 0.04
    return alone["right"] > 0.6 and letters["changes"] > 0.1 and better


KEPT = {"short": "keeps to it", "true": "right"}
"""By principle, what counts as keeping to it: few words, or naming the right value."""


def _revised(runs: Runs) -> bool:
    each = {name: runs[name].measured for name in KEPT}
    return all(each[name][f"{what}, after"] > each[name][f"{what}, before"] + 0.1 for name, what in KEPT.items())


def _less_longer(runs: Runs) -> bool:
    """SimPO on pairs whose longer answer is chosen: longer than at the start, and less so than DPO."""
    words = {name: runs[name].measured["words"] for name in ("before", "expansive", "expansive, SimPO")}
    return words["before"] < words["expansive, SimPO"] < words["expansive"]


MASKED = (
    ("loss on users' turns, in the data's wordings", None, "user loss"),
    ("loss on users' turns, in other words", "loss on users' turns", "user loss, other words"),
    ("right", "right", "right"),
    ("plays the user if not stopped", "plays the user when not stopped", "plays the user"),
)


def _rows(*rows: tuple[str, str | None, str, str]) -> tuple[Row, ...]:
    """Rows from label, the toy's name, condition and the name of what was measured."""
    return tuple(Row(label, toy, number(condition, name)) for label, toy, condition, name in rows)


PADDINGS = ("padding of its own", "padding = end of turn")
PASSES, BEST, TASTE = f"{sft.PASSES} passes", "64 answers", "a taste for length"
ASKED: dict[str, Asked] = {
    "S10": Asked(
        "real_templates",
        _templates,
        _rows(
            ("right, its own template", "ChatML", "its own", "right"),
            ("right, without the cue", "ChatML without the cue", "without the cue", "right"),
            ("right, markers as words", "markers as words", "markers as words", "right"),
            ("right, Llama-2 style", "Llama-2 style", "Llama-2 style", "right"),
            ("ended, its own template", "stopped by itself, in this order[0]", "its own", "stopped"),
            ("ended, without the cue", "stopped by itself, in this order[2]", "without the cue", "stopped"),
            ("ended, markers as words", "stopped by itself, in this order[3]", "markers as words", "stopped"),
            ("ended, Llama-2 style", "stopped by itself, in this order[1]", "Llama-2 style", "stopped"),
        ),
    ),
    "S14": Asked(
        "real_padding",
        _padding,
        _rows(
            *((f"ended, {how}", f"stops after its answer, {how}", how, "stopped") for how in PADDINGS),
            *((f"chance of the end, {how}", f"chance of the end of turn, {how}", how, "end") for how in PADDINGS),
            *((f"right, {how}", f"right, {how}", how, "right") for how in PADDINGS),
        ),
    ),
    "S3": Asked(
        "real_styles",
        _style,
        _rows(
            ("polite, before", None, "before", "polite"),
            ("polite, plain data", "polite, plain data", "plain", "polite"),
            ("polite, polite data", "polite, polite data", "polite", "polite"),
            ("words, before", None, "before", "words"),
            ("words, plain data", "words, plain data", "plain", "words"),
            ("words, polite data", "words, polite data", "polite", "words"),
        ),
    ),
    "S4": Asked(
        "real_styles",
        _mixture,
        _rows(
            *(
                (f"polite, {part:.0%} of the data", f"{part:.0%} in the data", how, "polite")
                for how, part in SHARES.items()
            )
        ),
    ),
    "S6": Asked(
        "real_passes",
        _passes,
        _rows(
            ("lowest held-out loss", "lowest held-out loss", PASSES, "lowest"),
            ("after pass", "after pass", PASSES, "lowest after pass"),
            ("held-out loss at the end", "held out at the end", PASSES, "held out, last"),
            ("training loss at the end", "training at the end", PASSES, "training, last"),
        ),
    ),
    "S7": Asked(
        "real_lora",
        _lora,
        _rows(
            ("share of weights trained, LoRA", "weights trained by LoRA", "LoRA, 1e-3", "share"),
            ("right, full, lower rate", "right, full at 3e-4", "full, 1e-4", "right"),
            ("right, full, ten times the lower rate", "right, full at 3e-3", "full, 1e-3", "right"),
            ("right, LoRA, lower rate", "right, LoRA at 3e-4", "LoRA, 1e-4", "right"),
            ("right, LoRA, ten times the lower rate", "right, LoRA at 3e-3", "LoRA, 1e-3", "right"),
            ("right, LoRA, thirty times", None, "LoRA, 3e-3", "right"),
            ("held-out loss, full, lower rate", "held-out loss, full at 3e-4", "full, 1e-4", "loss"),
            ("held-out loss, full, ten times", "held-out loss, full at 3e-3", "full, 1e-3", "loss"),
            ("held-out loss, LoRA, lower rate", "held-out loss, LoRA at 3e-4", "LoRA, 1e-4", "loss"),
            ("held-out loss, LoRA, ten times", "held-out loss, LoRA at 3e-3", "LoRA, 1e-3", "loss"),
            ("held-out loss, LoRA, thirty times", None, "LoRA, 3e-3", "loss"),
        ),
    ),
    "S9": Asked(
        "real_mask",
        _mask,
        _rows(
            *(
                (f"{what}, {how}", toy and f"{toy}, {how}", how, name)
                for what, toy, name in MASKED
                for how in ("with mask", "without")
            )
        ),
    ),
    "R3": Asked(
        "real_reward",
        _calibrated,
        _rows(
            ("mean gap, said and observed", "mean distance", TASTE, "miscalibrated"),
            ("accuracy", None, TASTE, "accuracy"),
            ("the most that the noise allows", None, TASTE, "bound"),
        ),
    ),
    "R4": Asked(
        "real_reward",
        lambda runs: runs[TASTE].measured["longer"] > 0.8,
        _rows(("the longer of two right answers wins", "the longer one wins, labeller likes it long", TASTE, "longer")),
    ),
    "N1": Asked(
        "real_best_of_n",
        _falling_returns,
        _rows(
            ("share right, one answer", None, BEST, "right, by right, one"),
            ("share right, best of 64 by an exact reward", None, BEST, "right, by right, best of all"),
        ),
    ),
    "N5": Asked(
        "real_best_of_n",
        _overrated,
        _rows(
            ("true score (real model: share right), one answer", "true score[0]", BEST, "right, by length, one"),
            ("the same, 'best' of 64", "true score[6]", BEST, "right, by length, best of all"),
            ("words of one answer", None, BEST, "words, by length, one"),
            ("words of the 'best' of 64", None, BEST, "words, by length, best of all"),
        ),
    ),
    "O4": Asked(
        "real_ppo",
        _better,
        _rows(
            ("reward, first iteration", "reward, first iteration", "exact, beta 0.02", "reward, first"),
            ("reward, last iterations", "reward, last five", "exact, beta 0.02", "reward, last"),
            ("KL, last iterations", "KL, last five", "exact, beta 0.02", "kl, last"),
            ("right, held out, before", None, "before", "right"),
            ("right, held out, after", None, "exact, beta 0.02", "right"),
        ),
    ),
    "O5": Asked(
        "real_ppo",
        _beta_in_ppo,
        _rows(
            ("KL, small beta", "KL, last five[1]", "exact, beta 0.02", "kl, last"),
            ("KL, ten times that", "KL, last five[2]", "exact, beta 0.2", "kl, last"),
            ("reward, small beta", "reward, last five[1]", "exact, beta 0.02", "reward, last"),
            ("reward, ten times that", "reward, last five[2]", "exact, beta 0.2", "reward, last"),
            ("KL, length, small beta", None, "length, beta 0.02", "kl, last"),
            ("KL, length, ten times that", None, "length, beta 0.2", "kl, last"),
        ),
    ),
    "H1": Asked(
        "real_ppo",
        _hacked,
        _rows(
            ("words, before", "words, before and after[0]", "before", "words"),
            ("words, after", "words, before and after[1]", "length, beta 0.02", "words"),
            ("right, before", None, "before", "right"),
            ("right, after", None, "length, beta 0.02", "right"),
            ("ended, before", None, "before", "stopped"),
            ("ended, after", None, "length, beta 0.02", "stopped"),
            ("words, larger beta", None, "length, beta 0.2", "words"),
            ("words, price on length", None, "length, less 0.1 a word", "words"),
        ),
    ),
    "H3": Asked(
        "real_ppo",
        _lists,
        _rows(
            ("lists, before", "lists, before and after[0]", "before", "lists"),
            ("lists, after", "lists, before and after[1]", "lists, beta 0.02", "lists"),
        ),
    ),
    "H5": Asked(
        "real_ppo",
        _collapse,
        _rows(
            ("entropy, before", "entropy, before and after[0]", "lists, beta 0.02", "entropy, first"),
            ("entropy, after", "entropy, before and after[1]", "lists, beta 0.02", "entropy, last"),
            ("different answers of four, before", None, "before", "distinct"),
            ("different answers of four, after", None, "lists, beta 0.02", "distinct"),
        ),
    ),
    "X3": Asked(
        "real_dpo",
        _opinions,
        _rows(
            ("words, start", "words per answer, start", "before", "words"),
            ("words, concise", "words per answer, concise", "concise", "words"),
            ("words, expansive", "words per answer, expansive", "expansive", "words"),
            ("right, start", None, "before", "right"),
            ("right, concise", None, "concise", "right"),
            ("right, expansive", None, "expansive", "right"),
        ),
    ),
    "X4": Asked(
        "real_dpo",
        _nearer,
        tuple(
            Row(f"drift, beta {beta}", toy, number(name, "drift"))
            for (beta, name), toy in zip(
                BETAS.items(), (None, "language model, drift at the end[0]", None), strict=True
            )
        ),
    ),
    "X5": Asked(
        "real_dpo",
        _displaced,
        (
            Row("margin in nats, SFT on the chosen", "margin in nats, SFT on the chosen", margin(dpo.SFT)),
            Row("margin in nats, DPO", "margin in nats, DPO", margin("concise")),
            Row("change of the chosen, SFT", "change of the chosen answers, SFT on the chosen", raised(dpo.SFT)),
            Row("change of the chosen, DPO", "change of the chosen answers, DPO", raised("concise")),
        ),
    ),
    "X6": Asked(
        "real_dpo",
        _length,
        _rows(
            ("words, before", "words, before and after, here[0]", "before", "words"),
            ("words, sums", "words, before and after, here[1]", "expansive", "words"),
            ("words, means over tokens", None, "expansive, means, beta 2", "words"),
        ),
    ),
    "X7": Asked(
        "real_dpo",
        _moving,
        (
            Row("drift, fixed reference", None, number("concise", "drift")),
            Row("drift, moving reference", None, number(dpo.MOVING, "drift")),
            Row("margin in nats, fixed reference", "margin against the first model[0]", margin("concise")),
            Row("margin in nats, moving reference", "margin against the first model[1]", margin(dpo.MOVING)),
        ),
    ),
    "V2": Asked(
        "real_family",
        lambda runs: lost("IPO")(runs) < lost("DPO")(runs),
        tuple(Row(f"lost by flipped labels, {name}", None, lost(name)) for name in dpo.FAMILY),
    ),
    "V3": Asked(
        "real_family",
        _from_singles,
        tuple(Row(f"in order, clean, {name}", None, number(f"clean: {name}", "in order")) for name in dpo.FAMILY),
    ),
    "V5": Asked(
        "real_dpo",
        _less_longer,
        _rows(
            ("words, before", None, "before", "words"),
            ("words, DPO", None, "expansive", "words"),
            ("words, SimPO", None, "expansive, SimPO", "words"),
        ),
    ),
    "A1": Asked(
        "real_judge",
        _judge,
        _rows(
            ("better answer found, each read alone", "agreement with the true order", "verdicts", "right"),
            ("right answer found, likelihoods", None, "likelihoods", "right"),
            ("winner changes with the order", "winner changes with the order of the two", "letters", "changes"),
            (
                "letters, one order (toy: kind found; real: true)",
                "kind answer found, one order",
                "letters",
                "right, one order",
            ),
            (
                "letters, both orders (toy: kind found; real: true)",
                "kind answer found, mean of both",
                "letters",
                "right",
            ),
            ("says A", None, "letters", "says A"),
        ),
    ),
    "A2": Asked(
        "real_revision",
        _revised,
        _rows(
            (
                "score of drafts (toy: 3 principles; real: short)",
                "principle score of the drafts",
                "short",
                "keeps to it, before",
            ),
            ("score of revisions (the same)", "after critique and revision", "short", "keeps to it, after"),
            ("right, drafts", None, "true", "right, before"),
            ("right, revised to be true", None, "true", "right, after"),
            ("right, revised to be short", None, "short", "right, after"),
            ("words, drafts", None, "short", "words, before"),
            ("words, revised to be short", None, "short", "words, after"),
            ("unchanged by revision, short", None, "short", "unchanged"),
        ),
    ),
}


def by_seed(id: str) -> dict[int, Runs]:
    """The stored runs that a claim is asked of, by seed and condition.

    Raises:
        ValueError: the claim is not asked of a real model, or not all of its runs are stored.
    """
    if id not in ASKED:
        raise ValueError(f"Claim {id} is not asked of a real model. These are: {', '.join(ASKED)}.")
    runs = [run for run in stored(ASKED[id].experiment) if run.model == SMOLLM2]
    return {seed: {run.condition: run for run in runs if run.seed == seed} for seed in sorted({r.seed for r in runs})}


def held(id: str) -> list[bool]:
    """Whether a claim held on the real model, for each stored seed; raises ValueError as `by_seed`."""
    return [ASKED[id].holds(runs) for runs in by_seed(id).values()]


def kind(id: str) -> str:
    """What `claim` says of a claim that the real model is asked, by its runs; raises ValueError as `by_seed`."""
    if id in ASKED and not is_stored(ASKED[id].experiment):
        return "toy only"
    return "seen on both" if all(held(id)) else "other on the real model"


def toy_beside_real(*ids: str) -> list[dict[str, str]]:
    """A row for each number of these claims: the toy's and the real model's, as "mean (least to most)" over the seeds.

    The first row of a claim also says on how many seeds its condition held. Raises ValueError as `by_seed`.
    """
    toy, rows = stored("toy"), []
    for id in ids:
        seeds, lessons = list(by_seed(id).values()), of_condition(toy, id)
        held_there = sum(run.measured["held"] for run in lessons)
        first = {
            "claim": id,
            "held, toy": f"{held_there:.0f} of {len(lessons)}",
            "held, real": f"{sum(held(id))} of {len(seeds)}",
        }
        for row in ASKED[id].rows:
            numbers = {"toy": spread([run.measured[row.toy] for run in lessons]) if row.toy else ""}
            numbers["real model"] = spread([row.real(runs) for runs in seeds])
            rows.append({"claim": "", "measured": row.label} | numbers | {"held, toy": "", "held, real": ""} | first)
            first = {}
    return rows
