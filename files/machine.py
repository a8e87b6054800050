"""What a process knows of the machine it runs on."""

import os


def usable_cores():
    """The number of cores that this process may use; taskset and batch systems give fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
