"""The loss over labels that are sets of classes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")

from torch.nn import functional  # noqa: E402

from training.labels import ANY_CLASS, CLASSES  # noqa: E402
from training.losses import (  # noqa: E402
    allowed_classes,
    hard_pixel_mean,
    partial_label_nll,
    segmentation_loss,
    soft_jaccard_loss,
)

COUNT = len(CLASSES)


def _logits(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, COUNT, 5, 7, generator=torch.Generator().manual_seed(seed)) * 3


def _random_sets(seed: int, low: int = 1, high: int = ANY_CLASS + 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(low, high, (2, 5, 7)).astype(np.int32))


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_of_a_set_is_that_of_its_summed_probabilities(seed: int) -> None:
    logits, sets = _logits(seed), _random_sets(seed)
    found = partial_label_nll(functional.log_softmax(logits, 1), allowed_classes(sets, COUNT)).numpy()

    scores = np.exp(logits.numpy().astype(np.float64))
    for n, y, x in np.ndindex(2, 5, 7):
        members = [k for k in range(COUNT) if int(sets[n, y, x]) >> k & 1]
        share = scores[n, members, y, x].sum() / scores[n, :, y, x].sum()
        assert found[n, y, x] == pytest.approx(-np.log(share), abs=1e-5)


def test_sets_of_one_class_give_cross_entropy() -> None:
    logits = _logits()
    classes = torch.randint(0, COUNT, (2, 5, 7), generator=torch.Generator().manual_seed(1))
    nll = partial_label_nll(functional.log_softmax(logits, 1), allowed_classes(1 << classes, COUNT))

    torch.testing.assert_close(nll, functional.cross_entropy(logits, classes, reduction="none"))


def test_unlabelled_pixels_teach_nothing() -> None:
    logits = _logits().requires_grad_()
    segmentation_loss(logits, torch.full((2, 5, 7), ANY_CLASS, dtype=torch.int32)).backward()

    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_a_data_set_that_merges_two_classes_does_not_choose_between_them() -> None:
    """{person, rider} pushes both up, and leaves their proportion, which is all that another data set taught, alone."""
    person, rider = (next(k for k, entry in enumerate(CLASSES) if entry.name == name) for name in ("person", "rider"))
    logits = _logits().requires_grad_()
    sets = torch.full((2, 5, 7), 1 << person | 1 << rider, dtype=torch.int32)
    partial_label_nll(functional.log_softmax(logits, 1), allowed_classes(sets, COUNT)).sum().backward()

    assert logits.grad is not None
    probabilities = functional.softmax(logits.detach(), 1)
    pull = logits.grad / probabilities
    assert (logits.grad[:, [person, rider]] < 0).all()
    torch.testing.assert_close(pull[:, person], pull[:, rider], rtol=1e-3, atol=1e-5)


def test_a_data_set_that_lacks_a_class_does_not_punish_it() -> None:
    """Where the label is {building, pole}, a network that says pole is as right as one that says building."""
    building, pole = (next(k for k, entry in enumerate(CLASSES) if entry.name == name) for name in ("building", "pole"))
    sets = torch.full((1, 2, 2), 1 << building | 1 << pole, dtype=torch.int32)
    logits = torch.full((1, COUNT, 2, 2), -20.0)
    logits[:, pole] = 20.0
    logits.requires_grad_()
    segmentation_loss(logits, sets).backward()

    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_the_hard_mean_is_over_the_largest_losses_of_labelled_pixels() -> None:
    nll = torch.arange(8.0).view(1, 2, 4)
    labelled = torch.ones(1, 2, 4, dtype=torch.bool)
    assert hard_pixel_mean(nll, labelled, 0.25) == pytest.approx((7 + 6) / 2)
    labelled[0, 1, 3] = False
    assert hard_pixel_mean(nll, labelled, 0.25) == pytest.approx(6)
    assert hard_pixel_mean(nll, torch.zeros_like(labelled), 0.25) == 0


def _jaccard(logits: torch.Tensor, sets: torch.Tensor) -> float:
    allowed = allowed_classes(sets, COUNT)
    log_probabilities = functional.log_softmax(logits, 1)
    nll = partial_label_nll(log_probabilities, allowed)
    precise = (allowed.sum(1) == 1).float()
    return float(soft_jaccard_loss(log_probabilities, nll, allowed.to(torch.uint8).argmax(1), precise))


def test_the_jaccard_loss_is_zero_for_certain_truth_and_ignores_vague_pixels() -> None:
    classes = torch.arange(12).remainder(3).view(1, 3, 4)
    sets = (1 << classes).to(torch.int32)
    logits = functional.one_hot(classes, COUNT).permute(0, 3, 1, 2) * 60.0
    sets[0, 0, 0], logits[0, :, 0, 0] = 0b110, 0.0
    assert _jaccard(logits, sets) == pytest.approx(0, abs=1e-5)

    logits[0, :, 1, 1] = 0.0  # one of class 2's pixels now claims nothing in particular
    assert _jaccard(logits, sets) > 0.02


def test_a_weighted_class_counts_more_and_a_vague_pixel_counts_once() -> None:
    """Two pixels: a pole (weight 3) with loss a, and {road, car} with loss b: the mean is (3a + b) / 4."""
    pole = next(k for k, entry in enumerate(CLASSES) if entry.name == "pole")
    sets = torch.tensor([[[1 << pole, 1 << 0 | 1 << 10]]], dtype=torch.int32)
    logits = _logits()[:1, :, :1, :2]
    weights = torch.ones(COUNT)
    weights[pole] = 3
    pole_nll, vague_nll = partial_label_nll(functional.log_softmax(logits, 1), allowed_classes(sets, COUNT))[0, 0]

    loss = segmentation_loss(logits, sets, class_weights=weights, hard_share=1, jaccard_weight=0)
    hard_mean = (3 * pole_nll + vague_nll) / 2
    torch.testing.assert_close(loss, (3 * pole_nll + vague_nll) / 4 + hard_mean)
