"""What is counted: against numbers that can be worked out, and what checkpointing leaves of it."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from course.models import LM
from course.rl import bytes_held, checkpointing, kept_for_backward
from tests.tiny import build_model, build_tokenizer


def test_weights_gradients_and_moments_are_counted_one_after_the_other():
    layer = nn.Linear(3, 2)  # 6 + 2 numbers of 4 bytes
    optimizer = torch.optim.AdamW(layer.parameters())
    assert bytes_held(layer) == {"weights": 32, "gradients": 0, "moments": 0}
    layer(torch.ones(1, 3)).sum().backward()
    assert bytes_held(layer, optimizer) == {"weights": 32, "gradients": 32, "moments": 0}
    optimizer.step()
    assert bytes_held(layer, optimizer) == {"weights": 32, "gradients": 32, "moments": 64}
    optimizer.zero_grad(set_to_none=True)
    assert bytes_held(layer, optimizer) == {"weights": 32, "gradients": 0, "moments": 64}


def test_only_what_learns_has_gradients_and_tied_weights_count_once():
    pair = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    pair[0].weight.requires_grad_(False)
    pair(torch.ones(1, 3)).sum().backward()
    assert bytes_held(pair) == {"weights": 72, "gradients": 36, "moments": 0}
    pair[1].weight = pair[0].weight
    assert bytes_held(pair)["weights"] == 36


def test_another_models_moments_are_not_counted():
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(other.parameters())
    other(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert bytes_held(one, optimizer)["moments"] == 0


def test_what_is_kept_is_counted_once_and_without_the_weights():
    layer, x = nn.Linear(3, 2), torch.ones(5, 3)
    with kept_for_backward(layer) as kept:
        y = layer(x)  # keeps x, 60 bytes, and the weights, which are there anyway
        assert kept.bytes == 60
        (y * layer(x)).sum()  # keeps both factors, 40 bytes each, and x again
        assert kept.bytes == 140


@pytest.mark.parametrize("more", [1, 3])
def test_checkpointing_keeps_less_and_gives_the_same_gradients(more):
    tokenizer = build_tokenizer()
    lm = LM("tiny", build_model(tokenizer), tokenizer)
    ids = torch.arange(5, 5 + 12 * more).view(more, 12)
    counts, gradients = [], []
    for switch in (False, True):
        lm.model.zero_grad(set_to_none=True)
        with kept_for_backward(lm.model) as kept:
            if switch:
                with checkpointing(lm.model):
                    loss = lm.model(input_ids=ids, use_cache=False).logits.square().mean()
                    counts.append(kept.bytes)
                    loss.backward()
            else:
                loss = lm.model(input_ids=ids, use_cache=False).logits.square().mean()
                counts.append(kept.bytes)
                loss.backward()
        gradients.append([p.grad.clone() for p in lm.model.parameters()])
    assert counts[1] < 0.8 * counts[0]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_no_dropout_acts_while_layers_are_checkpointed():
    """A ratio of 1 before the first step, of a model with dropout, and the same in the second computation."""
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, n_positions=32)  # dropout 0.1, the default
    model, ids = GPT2LMHeadModel(config).eval(), torch.arange(5, 29).view(2, 12)
    calm = model(input_ids=ids, use_cache=False).logits
    with checkpointing(model):
        logits = model(input_ids=ids, use_cache=False).logits
        logits.square().mean().backward()
    torch.testing.assert_close(logits, calm, rtol=0, atol=1e-6)
    again = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    calm.square().mean().backward()
    for one, p in zip(again, model.parameters(), strict=True):
        torch.testing.assert_close(one, p.grad, rtol=0, atol=1e-6)
