"""The value model: reads no token before its time, no padding, and begins as a copy."""

import pytest
import torch

from course.models import LM, clone, with_lora
from course.rl import ValueModel
from course.rollouts import Rollouts, sample
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]


@pytest.fixture(scope="module")
def lm() -> LM:
    return LM("tiny", build_model(TOKENIZER), TOKENIZER)


@pytest.fixture(scope="module")
def rollouts(lm: LM) -> Rollouts:
    return sample(lm, PROMPTS, max_new_tokens=6, seed=0)


def eager(lm: LM) -> ValueModel:
    """A value model that expects something."""
    value = ValueModel.of(lm)
    with torch.no_grad():
        value.head.weight.copy_(torch.linspace(-1, 1, value.head.weight.numel())[None])
        value.head.bias.fill_(0.3)
    return value


def test_made_of_a_language_model_it_expects_nothing(lm, rollouts):
    values = ValueModel.of(lm)(rollouts)
    assert values.shape == rollouts.mask.shape and values.dtype == torch.float32
    assert (values == 0).all()


def test_it_is_the_head_on_what_the_model_has_read_so_far(lm, rollouts):
    value = eager(lm)
    values = value(rollouts)
    for b, prompt in enumerate(PROMPTS):
        for t in range(int(rollouts.mask[b].sum())):
            read = torch.tensor([prompt + rollouts.response_ids[b, :t].tolist()])
            with torch.no_grad():
                wanted = value.head(value.trunk(read).last_hidden_state[:, -1]).item()
            assert values[b, t].item() == pytest.approx(wanted, abs=1e-5)


def test_a_value_has_read_the_tokens_before_and_no_later_one(lm, rollouts):
    value = eager(lm)
    before = value(rollouts)
    other = rollouts.response_ids.clone()
    other[:, 2] = (other[:, 2] + 1) % 300
    after = value(
        Rollouts(rollouts.prompt_ids, rollouts.prompt_mask, other, rollouts.mask, rollouts.logps, rollouts.texts, [])
    )
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert ((after[:, 3] - before[:, 3]).abs() > 1e-4).all()


def test_padding_changes_nothing(lm, rollouts):
    value = eager(lm)
    together = value(rollouts)
    for b in range(len(PROMPTS)):
        alone = rollouts.rows([b])
        counted = int(alone.mask.sum())
        torch.testing.assert_close(value(alone)[0, :counted], together[b, :counted], rtol=1e-4, atol=1e-5)


def test_it_is_a_copy_all_of_which_is_trained(lm, rollouts):
    before = {name: p.clone() for name, p in lm.model.named_parameters()}
    value = eager(lm)
    value(rollouts).sum().backward()
    assert all(p.grad is not None for p in value.parameters())
    with torch.no_grad():
        for p in value.parameters():
            p.add_(1.0)
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in lm.model.named_parameters())


def test_adapters_are_merged_into_the_copy(lm, rollouts):
    adapted = with_lora(lm, rank=2)
    with torch.no_grad():
        for name, p in adapted.model.named_parameters():
            if "lora_B" in name:
                p.fill_(0.1)
    value = ValueModel.of(adapted)
    assert not [name for name, _ in value.named_parameters() if "lora" in name]
    assert all(p.requires_grad for p in value.parameters())
    ids = torch.tensor([PROMPTS[1]])
    with torch.no_grad():
        wanted = adapted.model(ids, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(value.trunk(ids).last_hidden_state, wanted, rtol=1e-4, atol=1e-5)
        plain = clone(lm).model(ids, output_hidden_states=True).hidden_states[-1]
    assert (wanted - plain).abs().max() > 1e-3


def test_with_adapters_of_its_own_only_they_and_the_head_are_trained(lm, rollouts):
    value, again = ValueModel.of(lm, rank=2, seed=1), ValueModel.of(lm, rank=2, seed=1)
    trained = [name for name, p in value.named_parameters() if p.requires_grad]
    assert {"head.weight", "head.bias"} < set(trained)
    assert all("lora_" in name for name in trained if not name.startswith("head."))
    assert all(torch.equal(one, other) for one, other in zip(value.parameters(), again.parameters(), strict=True))
    value.head.bias.data.fill_(0.3)
    value(rollouts).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in value.parameters())
    assert not any("lora" in name for name, _ in lm.model.named_parameters())
