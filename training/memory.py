"""Keep freed memory for the next step instead of giving it back to the system."""

import ctypes

# mallopt's parameters, from glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory():
    """Let the C library keep what is freed; without glibc nothing happens.

    TensorFlow allocates the tensors of a step again in each step. By default large ones come
    straight from the system, which fills every page with zeros when it is first touched: up to a
    fifth of a training step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, 1 << 26)):
        mallopt(parameter, value)
