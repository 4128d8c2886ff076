"""The fifth sitting: what users of the Trainer, of Keras-like loops and of plain PyTorch train."""
