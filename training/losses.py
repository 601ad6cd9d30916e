"""Losses over labels that are sets of classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["allowed_classes", "hard_pixel_mean", "partial_label_nll", "segmentation_loss", "soft_jaccard_loss"]


def allowed_classes(sets: Tensor, class_count: int) -> Tensor:
    """Class sets (N, H, W) integer bit masks → (N, class_count, H, W) bool: may the pixel have the class?"""
    bits = torch.arange(class_count, device=sets.device).view(1, -1, 1, 1)
    return (sets.unsqueeze(1).to(torch.int32) >> bits) & 1 != 0


def partial_label_nll(log_probabilities: Tensor, allowed: Tensor) -> Tensor:
    """The negative logarithm of the probability that the pixel has one of its allowed classes.

    This is the marginal likelihood of learning from partial labels (Cour et al., JMLR 2011). With one class allowed it
    is cross-entropy; with all allowed it is zero, and so is its gradient.

    Args:
        log_probabilities: (N, C, H, W) float, log-softmax of the logits.
        allowed: (N, C, H, W) bool, at least one true in each pixel.

    Returns:
        (N, H, W) float.
    """
    return -log_probabilities.masked_fill(~allowed, -torch.inf).logsumexp(1)


def hard_pixel_mean(nll: Tensor, labelled: Tensor, share: float) -> Tensor:
    """The mean over the hardest ``share`` of the labelled pixels (online hard example mining).

    Args:
        nll: (N, H, W) float.
        labelled: (N, H, W) bool.
        share: In (0, 1].
    """
    # A threshold and a masked mean: a third of the time of picking the values out and putting their gradients back.
    count = max(1, int(labelled.sum() * share))
    with torch.no_grad():
        known = torch.where(labelled, nll, -torch.inf).flatten()
        hard = labelled & (nll >= known.kthvalue(known.numel() - count + 1).values)
    return (nll * hard).sum() / hard.sum().clamp_min(1)


def soft_jaccard_loss(log_probabilities: Tensor, nll: Tensor, truth: Tensor, precise: Tensor) -> Tensor:
    """One minus the mean IoU of probabilities with the precisely labelled pixels, over the classes in the batch.

    A surrogate of what is measured (Rahman and Wang, "Optimizing Intersection-Over-Union", ISVC 2016): a thin class
    counts as much as a large one. Pixels with more than one allowed class do not take part.

    Args:
        log_probabilities: (N, C, H, W) float.
        nll: (N, H, W) float, `partial_label_nll` of the same; where one class is allowed it is that class's.
        truth: (N, H, W) int64, the class where there is one.
        precise: (N, H, W) float, 1 where one class is allowed and 0 elsewhere.
    """
    zeros = nll.new_zeros(log_probabilities.shape[1])
    inter = zeros.index_add(0, truth.flatten(), (nll.neg().exp() * precise).flatten())
    present = zeros.index_add(0, truth.flatten(), precise.flatten())
    claimed = (log_probabilities.exp() * precise.unsqueeze(1)).sum((0, 2, 3))
    iou = inter / (claimed + present - inter).clamp_min(1e-6)
    seen = (present > 0).to(iou.dtype)
    return 1 - (iou * seen).sum() / seen.sum().clamp_min(1)


def segmentation_loss(
    logits: Tensor,
    sets: Tensor,
    *,
    class_weights: Tensor | None = None,
    hard_share: float = 0.25,
    jaccard_weight: float = 1.0,
) -> Tensor:
    """Mean over all labelled pixels, plus mean over the hardest of them, plus the soft Jaccard loss.

    Args:
        logits: (N, C, H, W).
        sets: (N, H, W) integer bit masks.
        class_weights: (C,) float, how much a pixel of the class counts in the two means; a vague pixel counts 1.
        hard_share: The share of labelled pixels that count as hard.
        jaccard_weight: Of the Jaccard term.
    """
    allowed = allowed_classes(sets, logits.shape[1])
    log_probabilities = functional.log_softmax(logits.float(), 1)
    nll = partial_label_nll(log_probabilities, allowed)
    labelled = ~allowed.all(1)
    precise = (allowed.sum(1) == 1).to(nll.dtype)
    truth = allowed.to(torch.uint8).argmax(1)
    weighted, total = nll, labelled.sum().clamp_min(1).to(nll.dtype)
    if class_weights is not None:
        weight = torch.where(precise > 0, class_weights[truth], 1.0)
        weighted, total = nll * weight, (weight * labelled).sum().clamp_min(1)
    loss = weighted.sum() / total + hard_pixel_mean(weighted, labelled, hard_share)
    if jaccard_weight:
        loss = loss + jaccard_weight * soft_jaccard_loss(log_probabilities, nll, truth, precise)
    return loss
