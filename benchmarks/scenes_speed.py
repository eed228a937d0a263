"""Images per second that the embedded data set draws, masks included, on one core.

    OMP_NUM_THREADS=1 python benchmarks/scenes_speed.py [HEIGHT WIDTH]

Prints the median and the range over the repeats, in CPU time and in wall time. Drawing uses one
thread and no BLAS, so CPU time is the time on one core even on a busy machine.
"""

import platform
import statistics
import sys
import time

import numpy

from kerasdl.data.scenes import dataset as scenes

REPEATS = 7


def main(height=64, width=64):
    # As much work as 1,024 images of 64x64, so that every repeat takes about a second.
    count = max(1, min(1024, 1024 * 64 * 64 // (height * width)))
    scenes.SceneSplit("validation", count, (height, width)).take(range(count))  # warm: textures
    busy, wall = [], []
    for _ in range(REPEATS):
        split = scenes.SceneSplit("train", count, (height, width))
        start = time.process_time(), time.perf_counter()
        split.take(range(count))
        busy.append(count / (time.process_time() - start[0]))
        wall.append(count / (time.perf_counter() - start[1]))
    print(f"scenes {scenes.VERSION}, {height}x{width}, {count} images, {REPEATS} repeats")
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {numpy.__version__}")
    for name, values in (("CPU time", busy), ("wall time", wall)):
        middle = statistics.median(values)
        print(f"{name}: {middle:.0f} images/s (from {min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
