"""What a step minimises.

Shapes: B sequences, T tokens, V vocabulary.
"""

from torch import Tensor

from seriatim.olmoe.losses import balancing_loss, z_loss
from seriatim.olmoe.model import Olmoe
from seriatim.training.config import LossSettings


def step_losses(
    model: Olmoe, ids_BT: Tensor, labels_BT: Tensor, settings: LossSettings
) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """The mean cross-entropy of the `labels_BT`, those that are `IGNORED` left out, and the weighted auxiliary losses;
    with the router's logits of each layer."""
    cross_entropy, router_logits = model.cross_entropy(ids_BT, labels_BT)
    terms = {"loss": cross_entropy}
    k = model.config.num_experts_per_tok
    if settings.balancing:
        form = settings.balancing_form
        terms["balancing_loss"] = settings.balancing * balancing_loss(
            router_logits=router_logits, experts_per_token=k, form=form
        )
    if settings.z:
        terms["z_loss"] = settings.z * z_loss(router_logits=router_logits, experts_per_token=k, form=settings.z_form)
    return terms, router_logits
