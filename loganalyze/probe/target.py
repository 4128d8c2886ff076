"""What is probed: a model, batches, and how one becomes a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loganalyze.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class ProbeTarget:
    """A model with its data, as a training would use them.

    Attributes
    ----------
    model
        The ``torch.nn.Module``, as it is when the training starts.
    batches
        A DataLoader, a list of batches, a function without arguments that returns either, or an iterator
        (which cannot be wound back). A batch is a dictionary, a tuple, a tensor, a dataclass or a Hugging
        Face ``BatchEncoding``.
    loss
        ``loss(output, batch) -> one number``; or a criterion such as ``nn.CrossEntropyLoss()``, which is
        called with logits and labels. Without it the loss is ``output.loss``, ``output["loss"]``, the first
        element of an output that is a tuple, or an output that is one number.
    optimizer, scheduler, scaler
        Those of the training, where it has them. They are used, and put back.
    forward
        ``forward(model, batch) -> output``, where ``model(**batch)`` or ``model(*batch)`` is not meant.
    accumulate
        ``accumulate(model, micro_batches)``: runs backward on each as the training does, and leaves the
        gradients of one optimizer step. For the check of gradient accumulation.
    accumulation
        Micro-batches of one optimizer step.
    learning_rate
        Highest learning rate of the training; else that of the run (``--run``), of the optimizer, or 1e-3.
    precision
        ``"fp32"``, ``"bf16"`` or ``"fp16"``: autocast around forward and loss.
    max_grad_norm
        The norm that gradients are clipped to; None: no clipping.
    num_classes
        C of log(C), where the shape of the logits does not tell.
    tokenizer
        For the check of the data.
    samples, collate
        The samples before they are collated, and the collator: a list or a data set of texts, images,
        dictionaries. For the checks of data and speed.
    label_names
        What the labels mean.
    device
        ``"cpu"``, ``"cuda:1"``, ...; the command line's ``--device`` wins.
    name
        What the reports call it.
    keeps
        More objects that the training changes and a probe must put back: a metric, an EMA of the model.
    """

    model: nn.Module
    batches: Any
    loss: Callable[..., Any] | None = None
    optimizer: Any = None
    scheduler: Any = None
    scaler: Any = None
    forward: Callable[[Any, Any], Any] | None = None
    accumulate: Callable[[Any, Sequence[Any]], Any] | None = None
    accumulation: int = 1
    learning_rate: float | None = None
    precision: str = "fp32"
    max_grad_norm: float | None = None
    num_classes: int | None = None
    tokenizer: Any = None
    samples: Any = None
    collate: Callable[[list[Any]], Any] | None = None
    label_names: Sequence[str] | None = None
    device: Any = None
    name: str = "target"
    keeps: Mapping[str, Any] = field(default_factory=dict)


PRECISIONS = ("fp32", "bf16", "fp16")


def checked(target: Any, origin: str) -> ProbeTarget:
    """Return `target` if it can be probed.

    Raises
    ------
    UsageError
        If it is no `ProbeTarget`, or what it holds is of the wrong kind; one line says what.
    """
    from torch import nn

    if not isinstance(target, ProbeTarget):
        raise UsageError(
            f"{origin} returned {_kind(target)}, not a ProbeTarget(model, batches, loss=...); "
            "`loganalyze probe init` writes an example"
        )
    if not isinstance(target.model, nn.Module):
        raise UsageError(f"the model of {origin} is {_kind(target.model)}, not a torch.nn.Module")
    if target.batches is None or isinstance(target.batches, (str, bytes)):
        raise UsageError(
            f"the batches of {origin} are {_kind(target.batches)}, not a DataLoader or a list of batches"
        )
    if target.loss is not None and not callable(target.loss):
        raise UsageError(
            f"the loss of {origin} is {_kind(target.loss)}; it must be a function loss(output, batch)"
        )
    if target.precision not in PRECISIONS:
        raise UsageError(
            f"the precision of {origin} is {target.precision!r}, not one of {', '.join(PRECISIONS)}"
        )
    return target


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def opened(target: ProbeTarget) -> Iterator[Any]:
    """Begin a pass over the batches.

    A DataLoader is copied first, so that workers and a pass that its owner has begun stay as they are; a
    list's iterator is copied, too.

    Raises
    ------
    UsageError
        If the batches cannot be iterated over.
    """
    import copy

    source = target.batches
    if callable(source) and not hasattr(source, "__iter__"):
        source = source()
    if hasattr(source, "_iterator") and hasattr(source, "collate_fn"):
        source = copy.copy(source)
        source._iterator = None
    if is_one_way(source):
        try:
            source = copy.copy(source)
        except TypeError:
            return iter(source)
    try:
        return iter(source)
    except TypeError:
        raise UsageError(
            f"the batches are {_kind(source)}, which cannot be iterated over; "
            "give a DataLoader or a list of batches"
        ) from None


def is_one_way(source: Any) -> bool:
    """Tell whether something is an iterator: read once, it is gone."""
    return hasattr(source, "__next__")


def remarks(target: ProbeTarget) -> tuple[str, ...]:
    """Return what cannot be put back: the place in a generator."""
    import copy

    if not is_one_way(target.batches):
        return ()
    try:
        copy.copy(target.batches)
    except TypeError:
        return (
            "The batches come from an iterator, whose place cannot be put back: give a DataLoader, a list, "
            "or the function that makes the iterator.",
        )
    return ()
