"""The losses of `course.losses.preference` beside TRL's, on the same numbers: serves notebook 12 (claim V6).

A trainer of TRL needs a model and data to start with. Its loss needs log-probabilities alone, so the trainers here are
made without their start-up, and what they take for a model hands them the numbers. KTO's is in TRL's main part. ORPO's
and SimPO's are in its experimental part, which may change or go with any release: `trl.json` beside this file holds
what all of them gave, and stands in for a trainer that is not there; `tools/trl_losses.py` writes it.
"""

import json
import os
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from course.losses.preference import PreferenceLoss, dpo_loss, ipo_loss, kto_loss, orpo_loss, simpo_loss

STORED = Path(__file__).with_name("trl.json")


class Answers(NamedTuple):
    """Log-probabilities of B good and B bad answers, sums over their tokens, shape (B,), natural log.

    To the losses that learn from pairs, the answers in one place of `chosen` and `rejected` are a pair.

    Attributes:
        policy_chosen, policy_rejected: under the policy; gradients may flow.
        ref_chosen, ref_rejected: under the reference.
        policy_mismatched, ref_mismatched: of answers under a prompt that is not theirs.
        chosen_tokens, rejected_tokens: how many tokens the answers have.
    """

    policy_chosen: Tensor
    policy_rejected: Tensor
    ref_chosen: Tensor
    ref_rejected: Tensor
    policy_mismatched: Tensor
    ref_mismatched: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor

    @property
    def sums(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self[:4]

    @property
    def means(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        tokens = (self.chosen_tokens, self.rejected_tokens) * 2
        return tuple(logps / count for logps, count in zip(self.sums, tokens, strict=True))

    @property
    def chosen_nll(self) -> Tensor:
        """The loss of SFT on the chosen answers: the mean over all of their tokens."""
        return -self.policy_chosen.sum() / self.chosen_tokens.sum()


# --- ours -------------------------------------------------------------------------------------------------------------

SETTINGS: dict[str, dict[str, Any]] = {
    "DPO": {"beta": 0.3},
    "DPO per token": {"beta": 3.0},
    "IPO as printed": {"beta": 0.2},
    "IPO per token": {"beta": 0.5},
    "KTO": {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5},
    "ORPO": {"lam": 0.4},
    "SimPO": {"beta": 2.0, "gamma": 0.8},
    "SimPO, smoothed": {"beta": 2.0, "gamma": 0.8, "label_smoothing": 0.1},
}
"""With which settings each loss is compared."""


def ours(name: str, answers: Answers) -> PreferenceLoss:
    """Our loss of this name in `SETTINGS`."""
    logps = answers.sums if name in ("DPO", "IPO as printed", "KTO") else answers.means
    if name == "KTO":
        return kto_loss(*logps, answers.policy_mismatched, answers.ref_mismatched, **SETTINGS[name])
    if name == "ORPO":
        return orpo_loss(*logps[:2], answers.chosen_nll, **SETTINGS[name])
    if name.startswith("SimPO"):
        return simpo_loss(*logps[:2], **SETTINGS[name])
    return (dpo_loss if name.startswith("DPO") else ipo_loss)(*logps, **SETTINGS[name])


# --- theirs -----------------------------------------------------------------------------------------------------------


def theirs(name: str, answers: Answers) -> Tensor:
    """The loss of this name in `SETTINGS` as TRL's own trainer computes it; gradients flow.

    Raises:
        ImportError: the trainer is not in the TRL that is installed.
    """
    if name == "IPO as printed":  # TRL divides by the number of tokens; answers of one token leave the sums as they are
        one = torch.ones_like(answers.chosen_tokens)
        answers = answers._replace(chosen_tokens=one, rejected_tokens=one)
    return (_without_reference if name.startswith(("ORPO", "SimPO")) else _with_reference)(name, answers)


def _without_start(trainer: type, model: Callable[..., Any] | None, **settings: Any) -> Any:
    made = trainer.__new__(trainer)
    made.accelerator = SimpleNamespace(device=torch.device("cpu"), gather=_same, gather_for_metrics=_same)
    made.model = model
    made.aux_loss_enabled = False
    made._metrics, made._total_train_tokens, made._tp_size = {"train": defaultdict(list)}, 0, 1
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def _same(value: Any) -> Any:
    return value


class _Teller:
    """What a trainer takes for a model: whatever it is asked, it gives the log-probabilities that it was made with."""

    training = True

    def __init__(self, *logps: Tensor) -> None:
        self.logps = logps  # of the inputs that hold the token 0, of those that hold the token 1

    def __call__(self, input_ids: Tensor, **unused: Any) -> SimpleNamespace:
        width = input_ids.shape[1] - 1
        sums = self.logps[int(input_ids[0, 0])]
        rest = torch.zeros(len(sums), width - 1)  # the whole sum on the first token: only the sums count
        told = torch.zeros(len(sums), width)
        log_probs = torch.cat([sums[:, None], rest], dim=1)
        return SimpleNamespace(log_probs=log_probs, entropy=told, mean_logits=told, is_top1=told.bool())


def _with_reference(name: str, answers: Answers) -> Tensor:
    """DPO, IPO and KTO; each input is one token of a prompt, then so many of the answer."""
    tokens = torch.cat([answers.chosen_tokens, answers.rejected_tokens])
    at = torch.arange(int(tokens.max()) + 1)
    mask = ((at >= 1) & (at <= tokens[:, None])).long()
    inputs = {"input_ids": torch.zeros_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask}
    policy = torch.cat([answers.policy_chosen, answers.policy_rejected])
    settings = SETTINGS[name] | {"precompute_ref_logps": True}
    if name == "KTO":
        from trl import KTOTrainer

        count = len(answers.policy_chosen)
        other = torch.ones(count, 3, dtype=torch.long)
        inputs |= {f"KL_{key}": other for key in inputs} | {"ref_KL_logps": answers.ref_mismatched}
        inputs["label"] = torch.tensor([True] * count + [False] * count)
        inputs["ref_logps"] = torch.cat([answers.ref_chosen, answers.ref_rejected])
        model = _Teller(policy, answers.policy_mismatched)
        trainer = _without_start(KTOTrainer, model, loss_type="kto", calculate_KL=True, **settings)
    else:
        from trl import DPOTrainer

        inputs |= {"ref_chosen_logps": answers.ref_chosen, "ref_rejected_logps": answers.ref_rejected}
        kind = {"DPO": "sigmoid", "DPO per token": "sigmoid_norm"}.get(name, "ipo")
        settings |= {"f_divergence_type": "reverse_kl", "ld_alpha": None, "use_weighting": False}
        trainer = _without_start(DPOTrainer, _Teller(policy), loss_types=[kind], loss_weights=[1.0], **settings)
    return trainer._compute_loss(trainer.model, inputs, return_outputs=False)


def _without_reference(name: str, answers: Answers) -> Tensor:
    """ORPO and SimPO, from TRL's experimental part and without the warning that it is experimental."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "ORPO":
            from trl.experimental.orpo import ORPOTrainer as Trainer

            settings, nll = {"beta": SETTINGS[name]["lam"]}, answers.chosen_nll
        else:
            from trl.experimental.cpo import CPOTrainer as Trainer

            settings = {"label_smoothing": 0.0, "loss_type": "simpo", "cpo_alpha": 0.0, "alpha": 0.0} | SETTINGS[name]
            settings["simpo_gamma"], nll = settings.pop("gamma"), torch.zeros(())
    trainer = _without_start(Trainer, None, **settings)
    chosen, rejected = answers.means[:2]
    told = torch.zeros(len(chosen), 1)  # logits, for a metric
    trainer.concatenated_forward = lambda model, batch: (chosen, rejected, told, told, nll)
    return trainer.get_batch_loss_metrics(None, {})[0]


# --- side by side -----------------------------------------------------------------------------------------------------


def with_gradients(loss: Callable[[Answers], Tensor], answers: Answers) -> tuple[float, Tensor]:
    """A loss, and its gradient by the policy's log-probabilities of all answers, chosen ones first, (2 B,)."""
    policy = {
        name: getattr(answers, name).detach().clone().requires_grad_() for name in ("policy_chosen", "policy_rejected")
    }
    value = loss(answers._replace(**policy))
    return float(value.detach()), torch.cat(torch.autograd.grad(value, list(policy.values())))


class Beside(NamedTuple):
    """Our loss and TRL's on the same answers.

    Attributes:
        ours, theirs: the losses.
        gradient_apart: the largest difference of any entry of the gradient.
        source: "trainer", or "stored" where the installed TRL has it no longer.
    """

    ours: float
    theirs: float
    gradient_apart: float
    source: str


def beside(name: str) -> Beside:
    """Our loss of this name in `SETTINGS` beside TRL's, on the answers in `trl.json`."""
    answers, values = stored()
    loss, gradient = with_gradients(lambda given: ours(name, given).loss, answers)
    try:
        other, slopes = with_gradients(lambda given: theirs(name, given), answers)
        source = "trainer"
    except (ImportError, AttributeError):
        other, slopes, source = values[name]["loss"], torch.tensor(values[name]["gradient"]), "stored"
    return Beside(loss, other, float((gradient - slopes).abs().max()), source)


def stored() -> tuple[Answers, dict[str, dict[str, Any]]]:
    """Answers, and by name the `loss` and the `gradient` that TRL's trainers gave for them."""
    held = json.loads(STORED.read_text("utf-8"))
    return Answers(**{name: torch.tensor(numbers) for name, numbers in held["answers"].items()}), held["values"]
