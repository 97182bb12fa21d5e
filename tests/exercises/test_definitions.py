"""The exercises themselves: right solutions in many forms are accepted, wrong ones in many forms are not."""

import copy
import inspect
import itertools
import re
import string
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.study.compare import plain, same
from course.study.content import load_all
from course.study.judge import judge

TEXTS = {text.id: text for lesson in load_all().values() for text in lesson.exercises}


def results(exercise_id: str, function: Any) -> list[Any]:
    return [_result(function, case) for case in EXERCISES[exercise_id].all_cases]


def _result(function: Any, case: tuple[Any, ...]) -> Any:
    """The plain result; the exception's name, where a mistake raises on a special case."""
    try:
        return plain(function(*copy.deepcopy(case)))
    except Exception as error:
        return type(error).__name__


# ---- text and definition ---------------------------------------------------------------------------------


def test_every_exercise_has_a_text_and_every_text_a_definition():
    assert set(TEXTS) == set(EXERCISES)


@pytest.mark.parametrize("id", EXERCISES)
def test_every_mistake_has_its_hint(id):
    assert set(TEXTS[id].mistakes) == set(EXERCISES[id].mistakes)
    assert len(EXERCISES[id].mistakes) >= 3


@pytest.mark.parametrize("id", EXERCISES)
def test_the_solution_that_is_shown_is_right_and_has_the_signature_of_the_task(id):
    scope: dict[str, Any] = {"torch": torch}
    exec(TEXTS[id].solution, scope)
    [name] = [name for name, value in scope.items() if inspect.isfunction(value)]
    assert judge(EXERCISES[id], scope[name]).kind == "right"
    call = f"{name}({', '.join(inspect.signature(scope[name]).parameters)})"
    assert call in TEXTS[id].task
    assert EXERCISES[id].solution.__name__ == name, "check says how to hand over the function by this name"
    names = list(inspect.signature(EXERCISES[id].solution).parameters)
    assert names[: len(EXERCISES[id].cases[0])] == list(inspect.signature(scope[name]).parameters)


@pytest.mark.parametrize("id", EXERCISES)
def test_the_cases_tell_the_solution_and_all_mistakes_apart(id):
    exercise = EXERCISES[id]
    functions = {"right": exercise.solution} | {n: f for n, f in exercise.mistakes.items() if callable(f)}
    found = {name: results(id, function) for name, function in functions.items()}
    for one, other in itertools.combinations(found, 2):
        assert not same(found[one], found[other], 1e-3), f"{one} and {other} give the same on all cases"


@pytest.mark.parametrize("id", EXERCISES)
def test_a_mistake_is_found_by_its_name(id):
    exercise = EXERCISES[id]
    for name, wrong in exercise.mistakes.items():
        if callable(wrong):
            assert judge(exercise, wrong).mistake == name


@pytest.mark.parametrize("id", EXERCISES)
def test_the_case_that_is_shown_is_small(id):
    verdict = judge(EXERCISES[id], lambda *arguments: "nonsense")
    assert len(verdict.difference.call) < 400


@pytest.mark.parametrize("id", EXERCISES)
def test_one_constant_is_never_right(id):
    for right in results(id, EXERCISES[id].solution):
        assert judge(EXERCISES[id], lambda *arguments, right=right: right).kind != "right"


# ---- 01: next-token loss --------------------------------------------------------------------------------------


def by_hand(logits, ids):
    total = 0.0
    for t in range(len(ids) - 1):
        scores = logits[t].tolist()
        top = max(scores)
        log_sum = top + np.log(sum(np.exp(score - top) for score in scores))
        total += log_sum - scores[ids[t + 1]]
    return total / (len(ids) - 1)


def in_numpy(logits, ids):
    scores = logits.numpy().astype(np.float64)[:-1]
    logp = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return -logp[np.arange(len(ids) - 1), ids.numpy()[1:]].mean()


@pytest.mark.parametrize(
    "attempt",
    [
        by_hand,
        in_numpy,
        lambda logits, ids: float(by_hand(logits, ids)),
        lambda logits, ids: -torch.log_softmax(logits, -1)[:-1].gather(-1, ids[1:].unsqueeze(-1)).mean(),
        lambda logits, ids: -logits.softmax(-1)[torch.arange(len(ids) - 1), ids[1:]].log().mean(),
        lambda logits, ids: F.cross_entropy(logits.double()[:-1], ids[1:]).item(),
        lambda logits, ids: F.cross_entropy(logits[:-1].T[None], ids[None, 1:]),
        lambda logits, ids: F.nll_loss(F.log_softmax(logits, 1)[:-1], ids[1:], reduction="sum") / (len(ids) - 1),
    ],
)
def test_next_token_loss_right(attempt):
    assert judge(EXERCISES["01-next-token-loss"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[:-1]),
        lambda logits, ids: F.cross_entropy(logits[1:], ids[1:]),
        lambda logits, ids: F.cross_entropy(logits[:-2], ids[2:]),
        lambda logits, ids: F.cross_entropy(logits, ids.roll(-1)),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="none"),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="none").median(),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:]).exp(),
        lambda logits, ids: F.cross_entropy(logits[:-1].softmax(-1), ids[1:]),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], label_smoothing=0.1),
        lambda logits, ids: F.cross_entropy(logits[-2:-1], ids[-1:]),
        lambda logits, ids: 1 - logits.softmax(-1)[:-1].gather(1, ids[1:, None]).mean(),
        lambda logits, ids: F.mse_loss(logits[:-1], F.one_hot(ids[1:], logits.shape[1]).float()),
        lambda logits, ids: -logits.log_softmax(0)[:-1].gather(1, ids[1:, None]).mean(),
    ],
)
def test_next_token_loss_wrong(attempt):
    assert judge(EXERCISES["01-next-token-loss"], attempt).kind == "wrong"


# ---- 01: the cost of worked examples ---------------------------------------------------------------------


def test_prompt_tokens_right():
    def loop(shots, question, queries):
        total = 0
        for _ in range(queries):
            for shot in shots:
                total += shot
            total += question
        return total

    exercise = EXERCISES["01-prompt-tokens"]
    assert judge(exercise, loop).kind == "right"
    assert judge(exercise, lambda s, q, n: float(n * q + n * np.sum(s))).kind == "right"
    assert judge(exercise, lambda s, q, n: torch.tensor([*s, q]).sum() * n).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda shots, question, queries: sum(shots) + question + queries,
        lambda shots, question, queries: (sum(shots) + question) * len(shots) * queries,
        lambda shots, question, queries: (max(shots, default=0) + question) * queries,
        lambda shots, question, queries: sum([*shots, question]) * (queries - 1),
        lambda shots, question, queries: (sum(shots) + question + 1) * queries,
        lambda shots, question, queries: (sum(shots) + len(shots) * question) * queries,
        lambda shots, question, queries: (sum(shots) / max(1, len(shots)) + question) * queries,
    ],
)
def test_prompt_tokens_wrong(attempt):
    assert judge(EXERCISES["01-prompt-tokens"], attempt).kind == "wrong"


# ---- 02: the assistant's mask ----------------------------------------------------------------------------


def mask_in_numpy(turns):
    parts = [
        np.r_[np.zeros(header), np.full(content + end, float(role == "assistant"))]
        for role, header, content, end in turns
    ]
    return np.concatenate(parts).astype(int)


def mask_by_index(turns):
    mask = torch.zeros(sum(sum(turn[1:]) for turn in turns), dtype=torch.bool)
    at = 0
    for role, *counts in turns:
        if role == "assistant":
            mask[at + counts[0] : at + sum(counts)] = True
        at += sum(counts)
    return mask


@pytest.mark.parametrize("attempt", [mask_in_numpy, mask_by_index])
def test_assistant_mask_right(attempt):
    assert judge(EXERCISES["02-assistant-mask"], attempt).kind == "right"


def rule(trained):
    return lambda turns: [v for role, *n in turns for v in trained(role == "assistant", *n)]


@pytest.mark.parametrize(
    "attempt",
    [
        rule(lambda ours, h, c, e: [0] * h + [int(ours)] * c),
        rule(lambda ours, h, c, e: [int(ours)] * (c + e)),
        rule(lambda ours, h, c, e: [0] * (h - 1) + [int(ours)] * (c + e + 1)),
        rule(lambda ours, h, c, e: [0] * h + [int(ours)] * c + [0] * (e - 1) + [int(ours)]),
        rule(lambda ours, h, c, e: [[0] * h + [int(ours)] * (c + e)]),
        rule(lambda ours, h, c, e: [int(ours)] * (c + e) + [0] * h),
        rule(lambda ours, h, c, e: [0] * h + [int(ours and c > 0)] * (c + e)),
        rule(lambda ours, h, c, e: [0] * h + [-100 if not ours else 1] * (c + e)),
        rule(lambda ours, h, c, e: [1] * (h + c + e)),
        rule(lambda ours, h, c, e: [0] * (h + c + e)),
        lambda turns: mask_in_numpy(
            [(turns[-1][0] if i == len(turns) - 1 else "user", *t[1:]) for i, t in enumerate(turns)]
        ),
        lambda turns: mask_in_numpy(turns).sum(),
    ],
)
def test_assistant_mask_wrong(attempt):
    assert judge(EXERCISES["02-assistant-mask"], attempt).kind == "wrong"


# ---- 02: find the difference -----------------------------------------------------------------------------


def with_zip_longest(served, trained):
    for i, (a, b) in enumerate(itertools.zip_longest(served, trained)):
        if a != b:
            return i


def with_numpy(served, trained):
    n = min(len(served), len(trained))
    unequal = np.flatnonzero(np.array(served[:n]) != np.array(trained[:n]))
    if len(unequal):
        return unequal[0]
    return None if len(served) == len(trained) else n


@pytest.mark.parametrize("attempt", [with_zip_longest, with_numpy])
def test_find_the_difference_right(attempt):
    assert judge(EXERCISES["02-find-the-difference"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda a, b: next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), len(a)),
        lambda a, b: next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b))),
        lambda a, b: next((i for i in range(len(a)) if i >= len(b) or a[i] != b[i]), None),
        lambda a, b: with_zip_longest(a, b) or None,
        lambda a, b: next((i for i, t in enumerate(a) if t not in b), None),
        lambda a, b: sum(x != y for x, y in zip(a, b, strict=False)) or None,
        lambda a, b: next((x for x, y in zip(a, b, strict=False) if x != y), None),
        lambda a, b: a == b,
        lambda a, b: max(len(a), len(b)) if a[: len(b)] == b[: len(a)] and a != b else with_zip_longest(a, b),
        lambda a, b: with_zip_longest(a[::-1], b[::-1]),
    ],
)
def test_find_the_difference_wrong(attempt):
    assert judge(EXERCISES["02-find-the-difference"], attempt).kind == "wrong"


@given(st.lists(st.integers(0, 2), max_size=5), st.lists(st.integers(0, 2), max_size=5))
def test_find_the_difference_splits_the_lists_where_they_part(one, other):
    first = EXERCISES["02-find-the-difference"].solution(one, other)
    if first is None:
        assert one == other
    else:
        assert one[:first] == other[:first]
        assert one[first : first + 1] != other[first : first + 1]


# ---- 02: dedupe ------------------------------------------------------------------------------------------


def with_translate(texts):
    table, seen = str.maketrans("", "", string.punctuation), {}
    for text in texts:
        seen.setdefault(" ".join(text.lower().translate(table).split()), text)
    return list(seen.values())


def with_regex(texts):
    seen, out = set(), []
    for text in texts:
        key = re.sub(r"[^a-z0-9]+", " ", text.casefold()).strip()
        if key not in seen:
            seen.add(key)
            out.append(text)
    return out


def without_spaces(texts):
    keys = [re.sub(r"\W", "", text.lower()) for text in texts]
    return [text for i, text in enumerate(texts) if keys.index(keys[i]) == i]


@pytest.mark.parametrize(
    "attempt", [with_translate, with_regex, without_spaces, lambda t: dict.fromkeys(with_regex(t)).keys()]
)
def test_dedupe_right(attempt):
    assert judge(EXERCISES["02-dedupe"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda texts: texts,
        lambda texts: sorted(with_regex(texts)),
        lambda texts: set(with_regex(texts)),
        lambda texts: list({text.lower().strip(" .!?"): text for text in reversed(texts)}.values())[::-1],
        lambda texts: list({text.lower().strip(" .!?"): text for text in texts}),
        lambda texts: list({frozenset(re.findall(r"\w+", t.lower())): t for t in texts[::-1]}.values())[::-1],
        lambda texts: [t for i, t in enumerate(with_regex(texts)) if not re.search(r"\d", t) or i == 3],
        lambda texts: [t for t, _ in itertools.groupby(texts, key=lambda t: re.sub(r"\W", "", t.lower()))],
        lambda texts: list({re.sub(r"[\W\d]", "", t.lower()): t for t in texts[::-1]}.values())[::-1],
        lambda texts: [t for t in texts if sum(with_regex([t, u]) == [t] for u in texts) == 1],
        lambda texts: [t.strip() for t in with_regex(texts)][:5],
        lambda texts: len(with_regex(texts)),
    ],
)
def test_dedupe_wrong(attempt):
    assert judge(EXERCISES["02-dedupe"], attempt).kind == "wrong"


def test_dedupe_names_a_lost_order_whatever_order_came_out():
    for seed in range(3):
        shuffle = np.random.default_rng(seed).permutation
        assert judge(EXERCISES["02-dedupe"], lambda t, s=shuffle: list(s(with_regex(t)))).mistake == "order_lost"


# ---- 03: labels ------------------------------------------------------------------------------------------


def labels_by_loop(ids, mask, attention):
    rows = zip(ids.tolist(), mask.tolist(), attention.tolist(), strict=True)
    return [[i if m and a else -100 for i, m, a in zip(*row, strict=True)] for row in rows]


def labels_in_place(ids, mask, attention):
    labels = ids.clone()
    labels[mask == 0] = -100
    labels[attention == 0] = -100
    return labels


@pytest.mark.parametrize(
    "attempt",
    [
        labels_by_loop,
        labels_in_place,
        lambda ids, mask, attention: ids.masked_fill((mask * attention) == 0, -100),
        lambda ids, mask, attention: np.where(mask.numpy() & attention.numpy(), ids.numpy(), -100),
        lambda ids, mask, attention: (ids * mask * attention - 100 * (1 - mask * attention)).float(),
    ],
)
def test_make_labels_right(attempt):
    assert judge(EXERCISES["03-make-labels"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda ids, mask, attention: labels_in_place(ids, mask, attention)[:, 1:],
        lambda ids, mask, attention: labels_in_place(ids, mask, attention)[0],
        lambda ids, mask, attention: torch.where((mask == 1) | (attention == 1), ids, -100),
        lambda ids, mask, attention: torch.where(mask == attention, ids, -100),
        lambda ids, mask, attention: torch.where((mask == 1) & (ids != 0), ids, -100),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention == 1) & (ids != 2), ids, -100),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention == 1), ids, -1),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention == 1), ids, torch.tensor(float("nan"))),
        lambda ids, mask, attention: torch.roll(labels_in_place(ids, mask, attention), 1, 1),
        lambda ids, mask, attention: ids[(mask == 1) & (attention == 1)],
        lambda ids, mask, attention: (mask == 1) & (attention == 1),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention.flip(1) == 1), ids, -100),
    ],
)
def test_make_labels_wrong(attempt):
    assert judge(EXERCISES["03-make-labels"], attempt).kind == "wrong"


# ---- 03: masked loss -------------------------------------------------------------------------------------


def masked_by_hand(logits, labels):
    losses = [
        -torch.log_softmax(logits[b, t - 1], -1)[labels[b, t]].item()
        for b in range(labels.shape[0])
        for t in range(1, labels.shape[1])
        if labels[b, t] != -100
    ]
    return sum(losses) / len(losses)


def masked_by_sum(logits, labels):
    targets, keep = labels[:, 1:], (labels[:, 1:] != -100).float()
    logp = logits[:, :-1].log_softmax(-1).gather(2, targets.clamp(min=0)[..., None])[..., 0]
    return -(logp * keep).sum() / keep.sum()


@pytest.mark.parametrize(
    "attempt",
    [
        masked_by_hand,
        masked_by_sum,
        lambda logits, labels: F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:]),
        lambda logits, labels: F.cross_entropy(
            logits[:, :-1][labels[:, 1:] != -100], labels[:, 1:][labels[:, 1:] != -100]
        ),
        lambda logits, labels: np.float32(masked_by_hand(logits, labels)),
        lambda logits, labels: F.cross_entropy(
            logits.flatten(0, 1), F.pad(labels, (0, 1), value=-100)[:, 1:].flatten(), ignore_index=-100
        ),
    ],
)
def test_masked_loss_right(attempt):
    assert judge(EXERCISES["03-masked-loss"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda logits, labels: F.cross_entropy(logits[:, 1:].flatten(0, 1), labels[:, :-1].flatten()),
        lambda logits, labels: F.cross_entropy(logits.flatten(0, 1)[:-1], labels.flatten()[1:]),
        lambda logits, labels: masked_by_sum(logits[:1], labels[:1]),
        lambda logits, labels: masked_by_sum(logits, labels) / len(labels),
        lambda logits, labels: masked_by_sum(logits, labels).exp(),
        lambda logits, labels: torch.stack(
            [masked_by_sum(a[None], b[None]) for a, b in zip(logits, labels, strict=True)]
        ).median(),
        lambda logits, labels: masked_by_sum(logits.softmax(-1), labels),
        lambda logits, labels: masked_by_sum(logits, labels) * (labels[:, 1:] != -100).sum() / (labels != -100).sum(),
        lambda logits, labels: F.cross_entropy(
            logits[:, :-1].reshape(-1, logits.shape[1] - 1)[: labels[:, 1:].numel()], labels[:, 1:].flatten() % 2
        ),
        lambda logits, labels: F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none"),
        lambda logits, labels: masked_by_sum(logits, labels).half(),
    ],
)
def test_masked_loss_wrong(attempt):
    assert judge(EXERCISES["03-masked-loss"], attempt).kind in ("wrong", "error")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_masked_loss_equals_the_losses_module(seed):
    from course.losses.sft import sft_loss

    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 6, 5, generator=random)
    labels = torch.randint(5, (3, 6), generator=random).masked_fill(torch.rand(3, 6, generator=random) < 0.4, -100)
    labels[0, 3] = 1
    ours = EXERCISES["03-masked-loss"].solution(logits, labels)
    torch.testing.assert_close(ours, sft_loss(logits, labels))


# ---- 03: LoRA --------------------------------------------------------------------------------------------


def test_lora_parameters_right_and_equal_to_peft():
    from peft import LoraConfig, get_peft_model

    exercise = EXERCISES["03-lora-parameters"]

    def by_modules(shapes, rank):
        base = torch.nn.Sequential(*(torch.nn.Linear(inner, out, bias=False) for out, inner in shapes))
        full = sum(weight.numel() for weight in base.parameters())
        config = LoraConfig(r=rank, target_modules=[str(i) for i in range(len(shapes))])
        adapted = get_peft_model(base, config)
        trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
        return [trained, trained / full]

    assert judge(exercise, by_modules).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda shapes, rank: sum(rank * (o + i) for o, i in shapes),
        lambda shapes, rank: (
            sum(rank * (o + i) for o, i in shapes),
            sum(rank * (o + i) / (o * i) for o, i in shapes) / len(shapes),
        ),
        lambda shapes, rank: (
            rank * sum(map(sum, set(shapes))),
            rank * sum(map(sum, shapes)) / sum(o * i for o, i in shapes),
        ),
        lambda shapes, rank: (2 * rank * sum(o for o, _ in shapes), 0.5),
        lambda shapes, rank: (
            rank * sum(map(sum, shapes)),
            round(rank * sum(map(sum, shapes)) / sum(o * i for o, i in shapes), 2),
        ),
        lambda shapes, rank: (rank * sum(map(sum, shapes)), sum(o * i for o, i in shapes)),
        lambda shapes, rank: (sum(map(sum, shapes)), sum(map(sum, shapes)) / sum(o * i for o, i in shapes)),
        lambda shapes, rank: (
            rank * sum(map(sum, shapes)) + 1,
            rank * sum(map(sum, shapes)) / sum(o * i for o, i in shapes),
        ),
    ],
)
def test_lora_parameters_wrong(attempt):
    assert judge(EXERCISES["03-lora-parameters"], attempt).kind == "wrong"


# ---- 18 --------------------------------------------------------------------------------------------------


def test_labelling_cost():
    exercise = EXERCISES["18-cost"]
    assert (
        judge(
            exercise, lambda demonstrations, comparisons, votes: 7 * comparisons * votes / 2 + demonstrations * 10
        ).kind
        == "right"
    )
    for wrong in (
        lambda d, c, v: 10 * d + 3.5 * (c + v),
        lambda d, c, v: 10 * d + 3.5 * c**v,
        lambda d, c, v: 10 * d + 25 * c * v,
        lambda d, c, v: 10 * d + 3.5 * c / v,
        lambda d, c, v: int(10 * d + 3 * c * v),
    ):
        assert judge(exercise, wrong).kind == "wrong"


def test_pairs_from_ranks():
    exercise = EXERCISES["18-pairs"]

    def with_combinations(completions, ranks):
        both = itertools.combinations(zip(ranks, completions, strict=True), 2)
        return {tuple(text for _, text in sorted(pair)) for pair in both if pair[0][0] != pair[1][0]}

    assert judge(exercise, with_combinations).kind == "right"
    for wrong in (
        lambda c, r: list(with_combinations(c, r)),
        lambda c, r: {frozenset(pair) for pair in with_combinations(c, r)},
        lambda c, r: {(a, b) for a, b in itertools.combinations(c, 2)},
        lambda c, r: {pair for pair in with_combinations(c, r) if c[r.index(min(r))] == pair[0]},
        lambda c, r: len(with_combinations(c, r)),
    ):
        assert judge(exercise, wrong).kind == "wrong"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_ranking_without_ties_gives_every_pair_once(ranks):
    names = [f"answer {i}" for i in range(len(ranks))]
    pairs = EXERCISES["18-pairs"].solution(names, ranks)
    tied = sum(ranks[i] == ranks[j] for i, j in itertools.combinations(range(len(ranks)), 2))
    assert len(pairs) == len(ranks) * (len(ranks) - 1) / 2 - tied
    assert not any((worse, better) in pairs for better, worse in pairs)
