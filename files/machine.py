"""The cores that this process may use."""

import os


def cores():
    """The cores this process may use, by number: taskset and batch systems give it some of all."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
    return sorted(usable)
