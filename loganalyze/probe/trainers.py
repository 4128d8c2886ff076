"""Targets out of what a training already has: a Trainer of Hugging Face, a Lightning module or trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loganalyze.errors import UsageError
from loganalyze.probe import call
from loganalyze.probe.target import ProbeTarget


def from_trainer(trainer: Any, batches: Any = None) -> ProbeTarget:
    """Return the target that a trainer would train, with its own loss, optimizer and accumulation.

    Parameters
    ----------
    trainer
        A ``transformers.Trainer``, or a subclass; a Lightning ``Trainer`` with its module; a
        ``LightningModule``.
    batches
        The DataLoader, where the trainer or module does not have one.

    Raises
    ------
    UsageError
        If it is none of them, or has no data.
    """
    if _is_hugging_face(trainer):
        return _hugging_face(trainer, batches)
    if _is_lightning_module(trainer):
        return _lightning(trainer, None, batches)
    module = getattr(trainer, "lightning_module", None)
    if module is None:
        raise UsageError(
            f"a {type(trainer).__name__} is no Trainer of Hugging Face and no module or trainer of Lightning"
        )
    return _lightning(module, trainer, batches)


def is_trainer(thing: Any) -> bool:
    """Tell whether `from_trainer` knows this kind of thing."""
    return (
        _is_hugging_face(thing)
        or _is_lightning_module(thing)
        or getattr(thing, "lightning_module", None) is not None
    )


def _is_hugging_face(thing: Any) -> bool:
    wanted = ("compute_loss", "get_train_dataloader", "args", "model")
    return not isinstance(thing, type) and all(hasattr(thing, name) for name in wanted)


def _is_lightning_module(thing: Any) -> bool:
    return not isinstance(thing, type) and all(
        hasattr(thing, name)
        for name in ("training_step", "configure_optimizers", "named_parameters")
    )


def _hugging_face(trainer: Any, batches: Any) -> ProbeTarget:
    arguments = trainer.args
    steps = arguments.gradient_accumulation_steps
    half = {"bf16": arguments.bf16, "fp16": arguments.fp16}
    names = getattr(getattr(trainer.model, "config", None), "id2label", None) or {}
    if batches is None and trainer.train_dataset is None:
        raise UsageError("the Trainer has no train_dataset: there is no data to probe")
    return ProbeTarget(
        trainer.model,
        batches if batches is not None else trainer.get_train_dataloader,
        forward=_computed(trainer),
        optimizer=trainer.optimizer,
        scheduler=trainer.lr_scheduler,
        accumulate=_accumulated(trainer) if steps > 1 else None,
        accumulation=steps,
        learning_rate=arguments.learning_rate,
        precision=next((name for name, used in half.items() if used), "fp32"),
        max_grad_norm=arguments.max_grad_norm or None,
        tokenizer=getattr(trainer, "processing_class", None),
        samples=trainer.train_dataset,
        collate=trainer.data_collator,
        label_names=[str(names[i]) for i in sorted(names)] or None,
        name=type(trainer).__name__,
        keeps={"trainer": trainer},
    )


def _computed(trainer: Any) -> Callable[[Any, Any], Any]:
    """Return the forward pass that the Trainer makes: its own loss, and the logits beside it."""

    def forward(model: Any, batch: Any) -> dict[str, Any]:
        told = trainer.compute_loss(model, dict(batch), return_outputs=True)
        loss, output = told if isinstance(told, tuple) else (told, None)
        logits = call.logits(output)
        return {"loss": loss} if logits is None else {"loss": loss, "logits": logits}

    return forward


def _accumulated(trainer: Any) -> Callable[[Any, Sequence[Any]], None]:
    """Return the Trainer's own way through the micro-batches of a step."""

    def accumulate(model: Any, micro: Sequence[Any]) -> None:
        counted = getattr(trainer, "_get_num_items_in_batch", None)
        items = counted(list(micro), trainer.args.device) if counted is not None else None
        trainer.current_gradient_accumulation_steps = len(micro)
        for batch in micro:
            trainer.training_step(model, dict(batch), num_items_in_batch=items)

    return accumulate


def _lightning(module: Any, trainer: Any, batches: Any) -> ProbeTarget:
    if not getattr(module, "automatic_optimization", True):
        raise UsageError(
            f"{type(module).__name__} optimizes by hand: write a target whose loss(output, batch) is what it "
            "minimizes"
        )
    told = str(getattr(trainer, "precision", "32"))
    return ProbeTarget(
        module,
        batches if batches is not None else _loader(module, trainer),
        forward=_stepped,
        optimizer=_optimizer(module, trainer),
        accumulation=int(getattr(trainer, "accumulate_grad_batches", 1) or 1),
        precision="bf16" if "bf16" in told else "fp16" if told.startswith("16") else "fp32",
        max_grad_norm=getattr(trainer, "gradient_clip_val", None) or None,
        name=type(module).__name__,
    )


def _stepped(module: Any, batch: Any) -> Any:
    """Make a training step without a trainer to log to."""

    def unheard(*arguments: Any, **options: Any) -> None:
        return None

    # Put back with everything else; a module refuses to log outside of its trainer's loop.
    module.log = module.log_dict = unheard
    return module.training_step(batch, 0)


def _loader(module: Any, trainer: Any) -> Any:
    """Return what makes the batches: of the trainer's data module, of the trainer, of the module."""
    holders = (getattr(trainer, "datamodule", None), trainer, module)
    for holder in holders:
        found = getattr(holder, "train_dataloader", None)
        if found is not None and not _is_empty_hook(found):
            return found
    raise UsageError(
        f"{type(module).__name__} has no train_dataloader: give it as from_trainer(module, loader)"
    )


def _is_empty_hook(found: Any) -> bool:
    """Tell whether a method is Lightning's own, which only says that there is none."""
    return "DataHooks" in getattr(found, "__qualname__", "")


def _optimizer(module: Any, trainer: Any) -> Any:
    """Return the first optimizer, in whichever of Lightning's shapes it comes."""
    if getattr(trainer, "optimizers", None):
        return trainer.optimizers[0]
    found: Any = module.configure_optimizers()
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], (list, tuple)):
        found = found[0]
    if isinstance(found, (list, tuple)):
        found = found[0] if found else None
    if isinstance(found, dict):
        return found.get("optimizer")
    return found
