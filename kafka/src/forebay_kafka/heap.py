"""What a program that serves for weeks tells Python's garbage collector."""

import gc

# Calls in flight are thousands of objects that die by themselves. Looking at them after every 700
# new ones, as Python does, took a tenth of the edge's time for a call.
NEW_OBJECTS = 10_000


def settle_heap() -> None:
    """Leave what was loaded up to now alone, and look at what is new less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
