"""Make the runs of all pairs: ``python -m benchmarks.pairs.generate`` (one process, about ten minutes).

Deterministic but for times; what is there is not made again (``--redo WORD`` for those with it in their
name). Files above 4 kB are compressed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict

from benchmarks.pairs.kept import INDEX, LOGS, compress, relocate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redo", metavar="WORD")
    chosen = parser.parse_args()
    os.nice(10)
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from benchmarks.faults.hf import train_hf
    from benchmarks.faults.loop import train
    from benchmarks.pairs.table import pairs, recipes

    torch.set_num_threads(1)
    for number, (name, recipe) in enumerate(recipes().items(), 1):
        folder = LOGS / name
        if folder.exists() and not (chosen.redo and chosen.redo in name):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        began = time.perf_counter()
        (train_hf if recipe.task.hf else train)(recipe, folder)
        relocate(folder)
        compress(folder)
        print(
            f"{number}/{len(recipes())} {name} {time.perf_counter() - began:.1f} s",
            file=sys.stderr,
            flush=True,
        )
    for folder in LOGS.iterdir():
        if folder.name not in recipes():
            shutil.rmtree(folder)
    lines = [json.dumps(asdict(pair)) for pair in pairs()]
    INDEX.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
