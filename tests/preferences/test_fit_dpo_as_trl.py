"""DPO on a language model takes the steps of TRL's DPOTrainer, loss by loss and weight by weight (claim X2)."""

import math

import pytest
import torch
from datasets import Dataset

from course import train
from course.models import LM, clone
from course.preferences import DPO, IPO, Method, fit_preferences
from course.templates import CHATML
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PAIRS = [
    {"prompt": f"What is the capital of {name}?", "chosen": f"The capital of {name} is {city}.", "rejected": rejected}
    for name, city, rejected in [
        ("France", "Paris", "Paris."),
        ("Peru", "Lima", "I cannot say that, and I am sorry for it."),
        ("Italy", "Rome", "The capital of Italy is Lima."),
        ("Chile", "Santiago", "- 12"),
        ("Japan", "Tokyo", "What is it?"),
        ("Greece", "Athens", "The\n\ncapital."),
    ]
]
EPOCHS, BATCH, RATE = 2, 4, 3e-3  # the last step of an epoch has two pairs


def lm() -> LM:
    return LM("tiny", build_model(TOKENIZER), TOKENIZER)


def in_trls_form(pair: dict[str, str]) -> dict[str, str]:
    """The prompt up to where the answer begins, as text. TRL puts the token that ends a turn behind each answer."""
    turn = [{"role": "user", "content": pair["prompt"]}]
    return pair | {"prompt": CHATML.render(turn, add_generation_prompt=True)}


def trl_losses(theirs: LM, folder: str, pairs: list[dict[str, str]], **settings) -> list[float]:
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    config = DPOConfig(
        output_dir=folder,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        lr_scheduler_type="linear",
        warmup_steps=0,
        train_sampling_strategy="sequential",
        gradient_checkpointing=None,
        logging_steps=1,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        **settings,
    )
    data = Dataset.from_list([in_trls_form(pair) for pair in pairs])
    reference = clone(theirs).model  # left to itself, TRL would load it again from where the model came from
    trainer = DPOTrainer(theirs.model, reference, args=config, train_dataset=data, processing_class=theirs.tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (DPO(beta=0.5), {"loss_type": ["sigmoid"], "beta": 0.5}),
        (DPO(beta=2.0, per_token=True), {"loss_type": ["sigmoid_norm"], "beta": 2.0}),
        (IPO(beta=0.2), {"loss_type": ["ipo"], "beta": 0.2}),
    ],
    ids=["DPO", "DPO per token", "IPO"],
)
def test_every_step_is_that_of_trls_dpo_trainer(tmp_path, method: Method, settings):
    ours, theirs = lm(), lm()
    run = fit_preferences(ours, PAIRS, method, epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE, seed=5)
    plan = train._plan(len(PAIRS), train.Recipe(EPOCHS, RATE, BATCH, seed=5))
    order = [PAIRS[i] for step in plan for batch in step for i in batch]
    filled = [*order[:4], *order[4:6] * 2, *order[6:10], *order[10:] * 2]  # pairs that come twice have the same mean
    losses = trl_losses(theirs, str(tmp_path), filled, num_train_epochs=1, **settings)
    assert len(run.losses) == len(losses) == 4
    assert run.losses == pytest.approx(losses, rel=1e-4, abs=1e-5)
    for one, other in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)
    assert max(run.losses) - min(run.losses) > 0.02
    if isinstance(method, DPO):
        assert run.losses[0] == pytest.approx(math.log(2), abs=1e-5)
