"""Many images through a network: read, computed in batches of one size, and written in parallel.

Where a network can compute in one thread, each core takes one image after another from file to
files instead: no thread waits for another, and a single image fits the caches best.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import numpy

from kerasdl.backend import machine
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.engine.prediction import INDEX, Prediction, video
from kerasdl.engine.prediction.geometry import Tiling
from kerasdl.engine.prediction.networks import Facts, Network
from kerasdl.engine.prediction.outputs import Computing, Shown
from kerasdl.engine.prediction.sources import Images, Source, find
from kerasdl.tasks.prediction import ImagePrediction, Settings

MAX_SATURATION = 100
THREADS = 2  # for reading, and as many for writing
MANY = 8  # images for which a network is prepared to compute in one thread
MAX_JOBS = 24  # images between reading and writing
MAX_AREA = 2**24  # and their pixels, unless a single image has more

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass
class Job:
    """An image on its way: read, then computed and written.

    Attributes:
        source: The image.
        area: Its pixels.
        read: The image; its prediction if it is unreadable, or if one thread did all.
        written: The prediction.
    """

    source: Source
    area: int
    read: "Future[Shown | Prediction]"
    written: "Future[Prediction] | None" = None

    def is_done(self) -> bool:
        """Whether its prediction is there, or the error that ends all."""
        if self.written is not None:
            return self.written.done()
        return self.read.done() and (
            self.read.exception() is not None or isinstance(self.read.result(), Prediction)
        )


class Predictor:
    """Applies a network to images.

    Args:
        network: The network.
        facts: What is known of its training.
        tiling: What is wanted of tiles.
        top: Classification: number of classes to list.
        saturation: Colorization: factor of the predicted chroma, 0 to 100.

    Raises:
        ConfigError: The saturation is out of range.
    """

    def __init__(
        self,
        network: Network,
        facts: Facts,
        tiling: Tiling | None = None,
        top: int = 3,
        saturation: float = 1.0,
    ):
        if not 0 <= saturation <= MAX_SATURATION:  # also rejects NaN
            raise ConfigError(f"saturation must be from 0 to {MAX_SATURATION}, not {saturation}")
        settings = Settings(facts.target, top, saturation)
        self._computing = Computing(network, facts, tiling or Tiling(), settings)
        self.task, self.names, self.decoder = facts.task, facts.names, facts.decoder

    def run(
        self,
        images: Images,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        keep: bool = True,
        progress: Progress | None = None,
    ) -> Iterator[Prediction]:
        """Yields a `Prediction` for each image, in order; for unreadable ones it holds the error.

        Args:
            images: See `sources.find`.
            out: Folder for the results, with the subfolders of the input; None: nothing is written.
            overwrite: Whether files there may be replaced.
            keep: Whether masks and images are in the predictions after they were written.
            progress: Called with the name of a large image, the number of its tiles that are
                computed, and of all.

        Raises:
            DataError: A path does not exist, or a folder holds no image.
            ConfigError: A result already exists or would replace an image, or two images have the
            same name.
        """
        sources = find(images)
        if out is not None:
            self._check_targets(sources, pathlib.Path(out), overwrite)
        folder = pathlib.Path(out) if out is not None and self.decoder.files else None

        def finish(source: Source, found: ImagePrediction, pixels: numpy.ndarray) -> Prediction:
            fields = vars(found)
            if folder is None:
                return Prediction(source.shown, **fields)
            written = self._write(found, pixels, source, folder)
            if not keep:
                fields = {**fields, "mask": None, "image": None}
            return Prediction(source.shown, **fields, files=written)

        with _Pools() as pools:
            for videos, group in itertools.groupby(sources, lambda source: source.clip is not None):
                if not videos:
                    images = list(group)
                    many = len(images) >= MANY
                    yield from self._predicted(images, finish, pools, many, progress)
                    continue
                for source in group:
                    yield from self._video(source, folder, finish, pools)

    def _predicted(self, sources, finish, pools, many, progress=None) -> Iterator[Prediction]:
        """Predictions in order; `finish` makes them in the threads that write."""
        jobs: collections.deque[Job] = collections.deque()
        area = 0
        alone = many and machine.num_cores() > 1 and self._computing.can_compute_alone
        for source in sources:
            more = source.area()
            while jobs and (len(jobs) >= MAX_JOBS or area + more > MAX_AREA):
                area -= jobs[0].area
                yield self._next(jobs, finish, pools.writers, progress)
            area += more
            if alone:
                read = pools.cores.submit(self._whole, source, finish)
            else:
                read = pools.readers.submit(self._read, source)
            jobs.append(Job(source, more, read))
            while jobs and jobs[0].is_done():
                area -= jobs[0].area
                yield self._next(jobs, finish, pools.writers, progress)
        while jobs:
            yield self._next(jobs, finish, pools.writers, progress)

    def _whole(self, source, finish) -> Shown | Prediction:
        """Reads, predicts and writes an image in this thread; only reads one that needs tiles."""
        shown = self._read(source)
        if isinstance(shown, Prediction) or shown.x is None:
            return shown
        outputs = self._computing.outputs_alone(shown.x[None])
        if outputs is None:
            return shown
        return finish(source, self._computing.finish(shown, outputs[0]), shown.pixels)

    def _in_tiles(self, source, shown, writers, progress):
        report = progress and (lambda *counts: progress(source.shown, *counts))
        return self._computing.in_tiles(shown, writers, report)

    def _next(self, jobs, finish, writers, progress) -> Prediction:
        """The prediction of the first job; until it is written, the network works for others."""
        while jobs[0].written is None or not jobs[0].written.done():
            waiting = [job for job in jobs if job.written is None]
            if not waiting:
                break
            self._compute(waiting, finish, writers, progress)
        return jobs.popleft().written.result()

    def _compute(self, waiting, finish, writers, progress) -> None:
        """Computes the first of the jobs, and those of the same size with it."""
        first = waiting[0]
        shown = first.read.result()
        if isinstance(shown, Prediction):
            first.written = first.read
            return
        if shown.x is None:
            found = self._in_tiles(first.source, shown, writers, progress)
            first.written = writers.submit(finish, first.source, found, shown.pixels)
            return
        batch = [first]
        for job in waiting[1:]:
            if len(batch) == self._computing.batch_size(shown):
                break
            if job.read.exception() is None and _alike(shown.x, job.read.result()):
                batch.append(job)
        outputs = self._computing.outputs(numpy.stack([job.read.result().x for job in batch]))
        for job, each in zip(batch, outputs, strict=True):
            job.written = writers.submit(self._finished, job, each, finish)

    def _finished(self, job, outputs, finish) -> Prediction:
        shown = job.read.result()
        return finish(job.source, self._computing.finish(shown, outputs), shown.pixels)

    def _read(self, source: Source) -> Shown | Prediction:
        """The image as it is shown to the network; if that is impossible, the error."""
        try:
            return self._computing.shown(source.read())
        except DataError as error:
            return Prediction(source.shown, error=str(error))

    def _video(self, source, folder, finish, pools) -> Iterator[Prediction]:
        """Predictions of the frames; one for the whole video if it is written."""
        frames = (
            dataclasses.replace(source, shown=f"{source.shown}#{number}", pixels=pixels, clip=None)
            for number, pixels in enumerate(source.clip.frames(), 1)
        )
        try:
            if folder is None:
                yield from self._predicted(frames, finish, pools, True)
                return
            path = self._targets(source, folder)["video"]
            files.make_folder(path.parent)
            draw = self.decoder.files[self.decoder.video].draw
            count = 0
            with video.writing(path, source.clip.rate) as writer:
                for found in self._predicted(frames, self._frame(draw), pools, True):
                    writer.add(found.image)
                    count += 1
                if not count:
                    raise DataError("video without frames", source.path)
            yield Prediction(source.shown, f"{count} frames", files={"video": str(path)})
        except DataError as error:
            yield Prediction(source.shown, error=str(error))

    def _frame(self, draw):
        """A `finish` for the frames of a video: draws them."""
        return lambda source, found, pixels: Prediction(
            source.shown, image=numpy.asarray(draw(found, pixels, self.names))
        )

    def _targets(self, source: Source, out: pathlib.Path) -> dict[str, pathlib.Path]:
        """Paths of the results of one image or video, by kind."""
        if source.clip is not None and self.decoder.files:
            suffix = self.decoder.files[self.decoder.video].suffix
            return {"video": out / f"{source.name}{os.path.splitext(suffix)[0]}{video.SUFFIX}"}
        return {
            kind: out / f"{source.name}{file.suffix}" for kind, file in self.decoder.files.items()
        }

    def _check_targets(self, sources, out, overwrite):
        targets = [path for source in sources for path in self._targets(source, out).values()]
        twice = [path for path, count in collections.Counter(targets).items() if count > 1]
        if twice:
            raise ConfigError(
                "two images would have the same result file",
                sorted(twice)[0],
                "predict their parent folder, which keeps the subfolders, or rename one",
            )
        images = {os.path.realpath(each.path) for each in sources if each.path is not None}
        own = [path for path in targets if os.path.realpath(path) in images]
        if own:  # --overwrite is for results, not for the user's images
            raise ConfigError("the result would overwrite the image", own[0], "another --out")
        there = [path for path in (*targets, out / INDEX) if path.exists()]
        if there and not overwrite:
            raise ConfigError("the result exists already", there[0], "--overwrite or another --out")

    def _write(self, found, pixels, source, out):
        """Writes the images of a result; paths by kind."""
        written = self._targets(source, out)
        for kind, path in written.items():
            files.make_folder(path.parent)
            with files.replacing(path) as temporary:
                file = self.decoder.files[kind]
                file.draw(found, pixels, self.names).save(temporary, **file.format)
        return {kind: str(path) for kind, path in written.items()}


def _alike(x: numpy.ndarray, other: Shown | Prediction) -> bool:
    """Whether another image can be computed in one batch with x."""
    return isinstance(other, Shown) and other.x is not None and x.shape == other.x.shape


class _Pools:
    """Threads that read, that write, and one per core; on an error no further image is begun."""

    def __enter__(self):
        pool = concurrent.futures.ThreadPoolExecutor
        self.readers, self.writers = pool(THREADS), pool(THREADS)
        self.cores = pool(machine.num_cores())
        return self

    def __exit__(self, *_):
        for pool in (self.readers, self.cores, self.writers):
            pool.shutdown(wait=True, cancel_futures=True)
