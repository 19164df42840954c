"""What a step minimises.

Shapes: B sequences, T tokens, V vocabulary.
"""

import torch.nn.functional as F
from torch import Tensor

from seriatim.olmoe.losses import balancing_loss, z_loss
from seriatim.olmoe.model import Olmoe
from seriatim.training.config import LossSettings


def step_losses(model: Olmoe, batch_BT: Tensor, settings: LossSettings) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """The cross-entropy of each sequence's tokens after its first, and the weighted auxiliary losses; with the
    router's logits of each layer."""
    logits_BTV, router_logits = model(batch_BT[:, :-1])
    terms = {"loss": F.cross_entropy(logits_BTV.flatten(0, 1).float(), batch_BT[:, 1:].flatten())}
    k = model.config.num_experts_per_tok
    if settings.balancing:
        form = settings.balancing_form
        terms["balancing_loss"] = settings.balancing * balancing_loss(
            router_logits=router_logits, experts_per_token=k, form=form
        )
    if settings.z:
        terms["z_loss"] = settings.z * z_loss(router_logits=router_logits, experts_per_token=k, form=settings.z_form)
    return terms, router_logits
