"""DPO and its relatives as settings: what data each wants, whether it has a reference, and which loss it takes.

Serves notebooks 11 and 12. The formulas are in `course.losses.preference`.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from course.losses.preference import PreferenceLoss, dpo_loss, ipo_loss, kto_loss, orpo_loss, simpo_loss
from course.preferences.sequences import SequenceLogps


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

    def loss(
        self, chosen: SequenceLogps, rejected: SequenceLogps, ref_chosen: SequenceLogps, ref_rejected: SequenceLogps
    ) -> PreferenceLoss:
        logps = _sums_or_means(self.per_token, chosen, rejected, ref_chosen, ref_rejected)
        return dpo_loss(*logps, beta=self.beta, label_smoothing=self.label_smoothing)


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

    def loss(
        self, chosen: SequenceLogps, rejected: SequenceLogps, ref_chosen: SequenceLogps, ref_rejected: SequenceLogps
    ) -> PreferenceLoss:
        return ipo_loss(*_sums_or_means(self.per_token, chosen, rejected, ref_chosen, ref_rejected), beta=self.beta)


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

    def loss(
        self,
        completion: SequenceLogps,
        mismatched: SequenceLogps,
        ref_completion: SequenceLogps,
        ref_mismatched: SequenceLogps,
        good: Tensor,
    ) -> PreferenceLoss:
        """`good`, bool (N,), says which of the completions are; `mismatched` are answers under other prompts."""
        return kto_loss(
            completion.logps[good],
            completion.logps[~good],
            ref_completion.logps[good],
            ref_completion.logps[~good],
            mismatched.logps,
            ref_mismatched.logps,
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

    def loss(self, chosen: SequenceLogps, rejected: SequenceLogps) -> PreferenceLoss:
        chosen_nll = -chosen.logps.sum() / chosen.tokens.sum()
        return orpo_loss(chosen.mean_logps, rejected.mean_logps, chosen_nll, lam=self.lam)


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

    def loss(self, chosen: SequenceLogps, rejected: SequenceLogps) -> PreferenceLoss:
        return simpo_loss(chosen.mean_logps, rejected.mean_logps, beta=self.beta, gamma=self.gamma)


Method = DPO | IPO | KTO | ORPO | SimPO


def _sums_or_means(per_token: bool, *answers: SequenceLogps) -> list[Tensor]:
    return [each.mean_logps if per_token else each.logps for each in answers]
