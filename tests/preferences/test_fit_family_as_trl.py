"""KTO, SimPO and ORPO on a language model take the steps of TRL's trainers, loss by loss and weight by weight (V6)."""

import copy
import os
import warnings
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, PrinterCallback

from course.formats import preference_to_unpaired
from course.models import LM, clone
from course.preferences import KTO, ORPO, SimPO, fit, fit_preferences
from course.templates import CHATML
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PAIRS = [
    {"prompt": "Where is Paris?", "chosen": "Paris is in France.", "rejected": "Paris."},
    {"prompt": "Where is Lima?", "chosen": "In Peru, I think, and it is the capital.", "rejected": "Lima is in Italy."},
    {"prompt": "And Rome?", "chosen": "Rome is in Italy.", "rejected": "I cannot say that, and I am sorry for it."},
    {"prompt": "Oslo?", "chosen": "12", "rejected": "What is it?"},
]
EPOCHS, RATE = 5, 5e-3


def lm() -> LM:
    return LM("tiny", build_model(TOKENIZER), TOKENIZER)


def in_trls_form(record: dict[str, Any]) -> dict[str, Any]:
    """The prompt up to where the answer begins, as text. TRL puts the token that ends a turn behind each answer."""
    turn = [{"role": "user", "content": record["prompt"]}]
    return record | {"prompt": CHATML.render(turn, add_generation_prompt=True)}


def settings(folder: str, size: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": size,
        "learning_rate": RATE,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "logging_steps": 1,
        "bf16": False,
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def losses_of(trainer: Any) -> list[float]:
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def assert_same_steps(ours: LM, run: Any, theirs: LM, losses: list[float]) -> None:
    assert len(losses) == EPOCHS
    assert run.losses == pytest.approx(losses, rel=1e-3, abs=1e-5)
    for one, other in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=5e-4)
    assert max(run.losses) - min(run.losses) > 0.02


def test_every_step_is_that_of_trls_kto_trainer(tmp_path, monkeypatch):
    """All answers in one batch; TRL gives each prompt the answer that stands before its own."""
    from trl import KTOConfig, KTOTrainer

    records = [answer for pair in PAIRS for answer in preference_to_unpaired(pair)]
    records = [*records[::2], *records[1::2]]  # neighbours have different prompts
    count = len(records)
    for record in records[:-1]:
        record["label"] = True  # nearly all are good, so all answers gain, and the reference point leaves 0
    monkeypatch.setattr(fit, "_mismatched", lambda prompts, rng: [(i - 1) % count for i in range(count)])
    ours, theirs = lm(), lm()
    method = KTO(beta=0.5, undesirable_weight=1.5)
    run = fit_preferences(ours, records, method, epochs=EPOCHS, batch_size=count, learning_rate=RATE)
    config = KTOConfig(**settings(str(tmp_path), count), beta=0.5, undesirable_weight=1.5, gradient_checkpointing=None)
    data = Dataset.from_list([in_trls_form(record) for record in records])
    reference = clone(theirs).model
    trainer = KTOTrainer(theirs.model, reference, args=config, train_dataset=data, processing_class=theirs.tokenizer)
    assert_same_steps(ours, run, theirs, losses_of(trainer))
    assert max(run.measured["kl"]) > 0.01  # else the reference point would not have been compared


def without_document_token() -> PreTrainedTokenizerFast:
    """These two trainers put the document token in front, where a conversation has none."""
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer.bos_token = None
    return tokenizer


@pytest.mark.filterwarnings("ignore")
def test_every_step_is_that_of_trls_cpo_trainer_for_simpo(tmp_path):
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    cpo = pytest.importorskip("trl.experimental.cpo")
    ours, theirs = lm(), lm()
    method = SimPO(beta=2.0, gamma=1.0)
    run = fit_preferences(ours, PAIRS, method, epochs=EPOCHS, batch_size=len(PAIRS), learning_rate=RATE)
    config = cpo.CPOConfig(
        **settings(str(tmp_path), len(PAIRS)), loss_type="simpo", beta=2.0, simpo_gamma=1.0, cpo_alpha=0.0
    )
    data = Dataset.from_list([in_trls_form(pair) for pair in PAIRS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = cpo.CPOTrainer(theirs.model, config, train_dataset=data, processing_class=without_document_token())
    assert_same_steps(ours, run, theirs, losses_of(trainer))


@pytest.mark.filterwarnings("ignore")
def test_trls_orpo_trainer_counts_the_prompts_tokens_too_and_is_else_the_same(tmp_path):
    """Its first loss is ours with the SFT loss over prompt and chosen answer in the place of the answer's alone."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    orpo = pytest.importorskip("trl.experimental.orpo")
    ours, theirs = lm(), lm()
    run = fit_preferences(ours, PAIRS, ORPO(lam=0.5), epochs=1, batch_size=len(PAIRS), learning_rate=RATE)
    config = orpo.ORPOConfig(**settings(str(tmp_path), len(PAIRS)) | {"num_train_epochs": 1}, beta=0.5)
    data = Dataset.from_list([in_trls_form(pair) for pair in PAIRS])
    start = clone(theirs)
    trainer = orpo.ORPOTrainer(theirs.model, config, train_dataset=data, processing_class=without_document_token())
    (loss,) = losses_of(trainer)
    turns = [({"role": "user", "content": pair["prompt"]}, pair["chosen"]) for pair in PAIRS]
    texts = [CHATML.encode(TOKENIZER, [asked, {"role": "assistant", "content": text}]) for asked, text in turns]
    answer, whole = [torch.zeros(2) for _ in range(2)]
    for encoded in texts:
        end = len(encoded.assistant_mask) - encoded.assistant_mask[::-1].index(1)
        ids = torch.tensor([encoded.input_ids[:end]])
        with torch.no_grad():
            logps = start.model(input_ids=ids).logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[0, :, 0]
        mask = torch.tensor(encoded.assistant_mask[1:end], dtype=torch.bool)
        answer += torch.tensor([float(-logps[mask].sum()), float(mask.sum())])
        whole += torch.tensor([float(-logps.sum()), float(len(logps))])
    shift = float(whole[0] / whole[1] - answer[0] / answer[1])
    assert loss == pytest.approx(run.losses[0] + shift, rel=1e-4)
    assert abs(shift) > 1e-3
