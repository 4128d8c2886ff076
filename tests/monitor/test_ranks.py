import os
import subprocess
import sys
from pathlib import Path

from loganalyze.monitor.ranks import agreed

PROGRAM = """
import sys, torch
from loganalyze.monitor.ranks import agreed
rank, place = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
print([agreed(rank == 0 and step == 3) for step in range(5)])
torch.distributed.destroy_process_group()
"""


def test_alone_nobody_is_asked():
    assert agreed(True)
    assert not agreed(False)


def test_all_processes_stop_where_the_first_one_wants_to(tmp_path: Path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(rank), str(tmp_path / "store")],
            env=environment, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=300)[0].strip() for process in processes]
    assert said == ["[False, False, False, True, False]"] * 2
