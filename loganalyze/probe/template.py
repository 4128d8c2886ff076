"""The commented target file that ``loganalyze probe init`` writes."""

from __future__ import annotations

NAME = "probe_target.py"
MARK = "# A target for `loganalyze probe`"

TEXT = (
    MARK
    + """: your model and your data, as your training uses them.
#
#     loganalyze probe all probe_target.py:target
#
# Replace what stands in `target` by your own code; import it from your training script where you can.
# Nothing of it is changed: model, optimizer, random generators and data are put back bit for bit.

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from loganalyze.probe import ProbeTarget


def target() -> ProbeTarget:
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    data = TensorDataset(torch.randn(512, 20), torch.randint(0, 10, (512,)))
    return ProbeTarget(
        model,
        # A DataLoader, a list of batches, or a function that returns either. A batch may be a dictionary,
        # a tuple, a tensor, a dataclass or a BatchEncoding of Hugging Face.
        batches=DataLoader(data, batch_size=32, shuffle=True),
        # loss(output, batch) -> one number, or a criterion that takes logits and labels. Leave it out for a
        # model whose output carries its loss (Hugging Face).
        loss=nn.CrossEntropyLoss(),
        # The training's own, if it has them; without one, AdamW is used.
        # optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3),
        # scheduler=..., scaler=...,
        # learning_rate=1e-3,      the highest of the training
        # precision="bf16",        autocast as in the training: fp32, bf16, fp16
        # max_grad_norm=1.0,       what gradients are clipped to
        # accumulation=4,          micro-batches of one optimizer step
        # tokenizer=tokenizer,     for `probe data`
        # samples=dataset, collate=collate,
    )


# With a Trainer of Hugging Face or Lightning, it is shorter:
#
# from loganalyze.probe import from_trainer
#
# def target() -> ProbeTarget:
#     return from_trainer(my_trainer)
"""
)
