"""DPO and its relatives as settings: what data each wants, whether it has a reference, and which loss it takes.

Serves notebooks 11 and 12. The formulas are in `course.losses.preference`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from course.losses.preference import (
    PreferenceLoss,
    dpo_loss,
    ipo_loss,
    kto_loss,
    orpo_loss,
    simpo_loss,
)
from course.preferences.sequences import SequenceLogps


@dataclass(frozen=True)
class Pairs:
    """The answers of a batch of pairs under the policy and, where a method has one, under the reference."""

    chosen: SequenceLogps
    rejected: SequenceLogps
    ref_chosen: SequenceLogps
    ref_rejected: SequenceLogps


@dataclass(frozen=True)
class Singles:
    """Good answers, bad ones, and answers under prompts that are not theirs, under the policy and the reference."""

    desirable: SequenceLogps
    undesirable: SequenceLogps
    mismatched: SequenceLogps
    ref_desirable: SequenceLogps
    ref_undesirable: SequenceLogps
    ref_mismatched: SequenceLogps


@dataclass(frozen=True)
class DPO:
    """Direct preference optimisation (Rafailov et al. 2023).

    Attributes:
        beta, label_smoothing: as in `dpo_loss`.
        per_token: means over the tokens instead of sums; beta is then per token.
    """

    beta: float = 0.1
    label_smoothing: float = 0.0
    per_token: bool = False
    has_reference: ClassVar[bool] = True
    learns_from: ClassVar[str] = "preference"

    def loss(self, pairs: Pairs) -> PreferenceLoss:
        return dpo_loss(*_four(pairs, self.per_token), beta=self.beta, label_smoothing=self.label_smoothing)


@dataclass(frozen=True)
class IPO:
    """Identity preference optimisation (Azar et al. 2023).

    Attributes:
        beta: as in `ipo_loss`.
        per_token: means over the tokens, as its authors ran it; False takes the sums that the paper prints.
    """

    beta: float = 0.1
    per_token: bool = True
    has_reference: ClassVar[bool] = True
    learns_from: ClassVar[str] = "preference"

    def loss(self, pairs: Pairs) -> PreferenceLoss:
        return ipo_loss(*_four(pairs, self.per_token), beta=self.beta)


@dataclass(frozen=True)
class KTO:
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024); learns from unpaired records.

    Attributes:
        beta, desirable_weight, undesirable_weight: as in `kto_loss`.
    """

    beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    has_reference: ClassVar[bool] = True
    learns_from: ClassVar[str] = "unpaired"

    def loss(self, singles: Singles) -> PreferenceLoss:
        return kto_loss(
            singles.desirable.logps,
            singles.undesirable.logps,
            singles.ref_desirable.logps,
            singles.ref_undesirable.logps,
            singles.mismatched.logps,
            singles.ref_mismatched.logps,
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )


@dataclass(frozen=True)
class ORPO:
    """Odds ratio preference optimisation (Hong et al. 2024): SFT on the chosen answers included, no reference.

    Attributes:
        lam: as in `orpo_loss`. The SFT loss is the mean over the chosen answers' tokens, as in the paper.
    """

    lam: float = 0.1
    has_reference: ClassVar[bool] = False
    learns_from: ClassVar[str] = "preference"

    def loss(self, pairs: Pairs) -> PreferenceLoss:
        chosen_nll = -pairs.chosen.logps.sum() / pairs.chosen.tokens.sum()
        return orpo_loss(pairs.chosen.mean_logps, pairs.rejected.mean_logps, chosen_nll, lam=self.lam)


@dataclass(frozen=True)
class SimPO:
    """Simple preference optimisation (Meng et al. 2024): no reference.

    Attributes:
        beta, gamma: as in `simpo_loss`.
    """

    beta: float = 2.0
    gamma: float = 1.0
    has_reference: ClassVar[bool] = False
    learns_from: ClassVar[str] = "preference"

    def loss(self, pairs: Pairs) -> PreferenceLoss:
        return simpo_loss(pairs.chosen.mean_logps, pairs.rejected.mean_logps, beta=self.beta, gamma=self.gamma)


Method = DPO | IPO | KTO | ORPO | SimPO


def _four(pairs: Pairs, per_token: bool) -> list[torch.Tensor]:
    each = (pairs.chosen, pairs.rejected, pairs.ref_chosen, pairs.ref_rejected)
    return [side.mean_logps if per_token else side.logps for side in each]
