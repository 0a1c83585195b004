# Whether packets take heap: a step that is measured N times, after a warm-up.
import gc

import micropython
from viperip import native

N = 1000
WARM = 60


def measured(step, strict=native.VIPER):
    # Run step(i) for N packets after a warm-up; the heap must be the same before and after, and
    # nothing may have been taken in passing. The twins allocate what they like: where one is on
    # the way (not `strict`), nothing stays.
    i = 0
    while i < WARM:
        step(i)
        i += 1
    gc.collect()
    gc.disable()
    total = micropython.mem_total()
    kept = gc.mem_alloc()
    while i < WARM + N:
        step(i)
        i += 1
    total = micropython.mem_total() - total
    gc.enable()
    if strict:
        kept = gc.mem_alloc() - kept
        assert kept == total == 0, (kept, total)
    else:
        gc.collect()
        assert gc.mem_alloc() - kept <= 0, gc.mem_alloc() - kept
