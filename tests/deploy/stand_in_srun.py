"""Stands in for Slurm's `srun`: as many tasks as it is told, each a machine of its own, and all of them told to end."""

import os
import signal
import subprocess
import sys

number = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--ntasks="))
command = sys.argv[next(place for place, word in enumerate(sys.argv) if place and not word.startswith("--")) :]
tasks = [
    subprocess.Popen(command, env={**os.environ, "SLURM_PROCID": str(task), "SLURM_NODEID": str(task)})
    for task in range(number)
]


def forward(signal_number: int, _frame: object) -> None:
    for task in tasks:
        task.send_signal(signal_number)


signal.signal(signal.SIGTERM, forward)
sys.exit(max(task.wait() for task in tasks))
