"""What a process knows of the machine it runs on."""

import os


def usable_cores():
    """The number of cores this process may use: taskset and batch systems give it some of all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
