"""Fresh memory for bytes to come."""

from __future__ import annotations

import contextlib
import mmap

LARGE = 1 << 20


def room(size: int) -> memoryview:
    """Writable memory; large ones take it only where they are written, in large pages where there are any.

    Page faults cost more than a copy: in a plain bytearray there would be one for each 4 KiB.
    """
    if size < LARGE:
        return memoryview(bytearray(size))
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)
