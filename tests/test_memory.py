"""What is freed stays with the process where the scripts ask for it."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FREED = 1 << 27  # bytes
SCRIPT = ("import numpy; %s; a = numpy.ones(%d, numpy.uint8); del a; "
          "print(open('/proc/self/statm').read())")


def resident_after_freeing(first):
    variables = dict(os.environ, LD_PRELOAD="")  # glibc's own allocator
    output = subprocess.run([sys.executable, "-c", SCRIPT % (first, FREED)], cwd=ROOT,
                            env=variables, stdout=subprocess.PIPE,
                            universal_newlines=True, check=True).stdout
    return int(output.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_freed_memory_is_kept():
    kept = resident_after_freeing(
        "from training.memory import keep_freed_memory; keep_freed_memory()")
    given_back = resident_after_freeing("pass")
    assert kept - given_back > FREED / 2
