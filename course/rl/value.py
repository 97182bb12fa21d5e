"""The value model of PPO: what reward is still to be expected, read off at each token.

Serves notebook 09. It begins as a copy of the policy with another head; Ouyang et al. 2022, section 3.5, copy the
reward model.
"""

from typing import Self

from torch import Tensor, nn
from transformers import PreTrainedModel

from course import SEED
from course.models import LM, add_lora, merged, precision
from course.rollouts import Rollouts


class ValueModel(nn.Module):
    """A transformer without its language head, and in its place one number for each token.

    Attributes:
        trunk: from tokens to vectors, (answers, tokens) to (answers, tokens, hidden).
        head: from each vector to the value.
    """

    def __init__(self, trunk: PreTrainedModel, width: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, 1).to(trunk.device)
        nn.init.zeros_(self.head.weight)  # at first it expects nothing, whatever it reads
        nn.init.zeros_(self.head.bias)

    @classmethod
    def of(cls, source: LM, rank: int | None = None, seed: int = SEED) -> Self:
        """A copy of the source's transformer, its LoRA adapters merged, with a new head.

        Args:
            source: stays as it is.
            rank, seed: of new adapters, which are then trained with the head; without a rank all weights are.
        """
        model = merged(source)
        width = model.get_output_embeddings().weight.shape[1]  # of its vectors; in some models not `hidden_size`
        value = cls(getattr(model, model.base_model_prefix), width).requires_grad_(True)
        if rank is not None:
            add_lora(value.trunk, rank, seed)
        return value.eval()

    def forward(self, rollouts: Rollouts) -> Tensor:
        """What is expected before each token of the responses, given the prompt and the tokens that came earlier.

        Returns:
            float32 (B, R); where the mask is 0 the entries mean nothing. Entry (b, t) has read what the policy had
            read when it chose token t, and not that token.
        """
        with precision(rollouts.mask.device):
            hidden = self.trunk(**rollouts.inputs(), use_cache=False).last_hidden_state
            width = rollouts.response_ids.shape[1]
            return self.head(hidden[:, -width - 1 : -1])[:, :, 0].float()
