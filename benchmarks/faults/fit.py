"""The loop of tasks that bring their own loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.faults.recipe import Recipe
from benchmarks.faults.writers import Log

Values = dict[str, float]
Step = Callable[[], tuple[Tensor, Values]]


def fit(
    recipe: Recipe,
    log: Log,
    model: nn.Module,
    step_loss: Step,
    evaluate: Callable[[], Values] | None = None,
) -> None:
    """Minimise what `step_loss` returns, and log it with the rest that it returns."""
    optimizer = recipe.optimizer(model.parameters(), lr=recipe.lr)
    for step in range(1, recipe.steps + 1):
        began = time.perf_counter()
        lr = recipe.lr * recipe.schedule.factor(step - 1, recipe.steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss, rest = step_loss()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or math.inf)
        optimizer.step()
        if step % recipe.log_every == 0 or step == 1:
            values = {"loss": float(loss.detach()), "lr": lr, "grad_norm": float(norm), **rest}
            log.train(step, {**values, "step_time": time.perf_counter() - began})
        if evaluate and step % recipe.eval_every == 0:
            with torch.no_grad():
                log.evaluate(step, evaluate())
