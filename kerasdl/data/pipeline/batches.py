"""Batches for `model.fit`, drawn in an order that depends on nothing but the seed.

The order, the augmentation and so every batch are a function of (seed, pass over the data, sample):
neither the number of workers nor a restart can change them, and no state has to be saved.

Keras' own workers are not used. With `workers > 1`, Keras 3.15 starts them before the epoch is
known, so that the first batches of an epoch belong to the one before. Here Keras sees one worker,
and threads of our own look ahead.
"""

import concurrent.futures
import itertools
import threading
import time

import keras
import numpy

from kerasdl.core.errors import ConfigError, DataError, KerasdlError
from kerasdl.data.pipeline.source import Source
from kerasdl.data.pipeline.transforms import uniforms


class Batches(keras.utils.PyDataset):
    """Batches of a source, made ahead of time by threads.

    Batch k of epoch e is number e * len(self) + k of an endless row of batches, pass after pass
    over the data, each pass in its own order. With `steps_per_epoch` an epoch is that many of
    them, so that no sample is lost or repeated where an epoch ends within a pass.

    Use it as a context manager: the threads end with the block, and an error of a worker comes out
    as it was raised (TensorFlow would turn it into text).

    Args:
        source: A `Source`.
        prepare: Function (images, labels, masks) -> (x, y) or (x, y, sample_weight) of the task.
        augment: A `transforms.Augmentation`, or None.
        batch_size: Samples per batch; the last one of a pass may be smaller.
        seed: Seed of order and augmentation.
        shuffle: Whether each pass has its own order.
        workers: Number of threads. Changes no batch.
        ahead: Number of batches made ahead of the one asked for.
        steps_per_epoch: Batches per epoch; 0: one pass over the data.
        drop_last: Whether to leave out the smaller batch at the end of a pass.
        shard: (number of this process, number of processes). A batch is then this process' share
            of the batch a single process would see.
        replicas: Number of devices, over all processes, that share a batch equally; by default
            one per process.
        rest: What becomes of samples at the end of a pass that the replicas cannot share equally.
            "drop": up to `replicas - 1` are left out, since in training unequal shares would
            weigh samples differently. "share": the last `replicas + 1` to `2 replicas - 1`
            samples are a batch of their own, whose shares differ by one sample. "whole": every
            process gets all of the last batch.

    Attributes:
        waited: Seconds since `set_epoch` that callers waited for a batch. With TensorFlow the
            caller is a thread that runs ahead of training, so there it is an upper bound.
        error: The first exception of a worker since `set_epoch`, or None.

    Raises:
        ConfigError: Empty source, or a batch size that the replicas cannot share.
    """

    def __init__(
        self,
        source,
        prepare,
        augment=None,
        batch_size=128,
        seed=0,
        shuffle=True,
        workers=2,
        ahead=4,
        steps_per_epoch=0,
        drop_last=False,
        shard=(0, 1),
        replicas=None,
        rest="drop",
    ):
        if batch_size < 1:
            raise ConfigError(
                "batch size 'auto' is for train, plan and lr-find", fix="set a number"
            )
        super().__init__(workers=1)
        self.source = source
        self.prepare = prepare
        self.augment = augment
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.waited = 0.0
        self.error = None
        self._shard = shard
        self._replicas = replicas or shard[1]
        self._rest = rest
        self._epoch = 0
        self._ahead = max(ahead, workers)
        self._orders = {}
        self._pending = {}
        self._lock = threading.Lock()
        self._edges = _edges(len(source), batch_size, self._replicas, "none" if drop_last else rest)
        self._per_pass = len(self._edges) - 1
        if batch_size % self._replicas:
            fitting = max(1, round(batch_size / self._replicas)) * self._replicas
            raise ConfigError(
                f"{self._replicas} devices cannot share a batch of {batch_size} equally",
                fix=f"set batch_size to a multiple of {self._replicas}, such as {fitting}",
            )
        if 0 < len(source) < self._replicas:
            raise DataError(
                f"{len(source)} samples are too few for {self._replicas} devices",
                fix="use more images or fewer devices",
            )
        if self._per_pass == 0:
            raise DataError(
                f"{len(source)} samples do not fill a batch",
                fix=f"set batch_size to at most {max(len(source), 1)}" if len(source) else None,
            )
        self._steps = steps_per_epoch or self._per_pass
        # Last, so that a refused argument leaves no pool behind.
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, "kerasdl-batches")

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        """Batch `index` of the current epoch, as `prepare` gave it."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        began = time.perf_counter()
        with self._lock:
            window = range(index, min(index + 1 + self._ahead, len(self)))
            keys = [self._epoch * len(self) + step for step in window]
            # What lies outside was left by a reader that gave up, such as Keras' peek.
            self._pending = {key: self._pending[key] for key in keys if key in self._pending}
            for key in keys:
                if key not in self._pending:
                    self._pending[key] = self._submit(key)
            future = self._pending.pop(keys[0])
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise KerasdlError("the batches were closed while one was awaited") from None
        except Exception as error:
            self.error = self.error or error
            raise
        finally:
            with self._lock:
                self.waited += time.perf_counter() - began

    def indices(self, epoch, index):
        """Sample numbers of batch `index` of epoch `epoch`, int64, in their order."""
        return self._samples(epoch * len(self) + index)[1]

    def is_shared(self, index):
        """Whether the replicas can share batch `index` of the current epoch equally."""
        return len(self._whole(self._epoch * len(self) + index)[1]) % self._replicas == 0

    def set_epoch(self, epoch):
        """Goes to an epoch, counted from 0, and starts counting `waited` anew."""
        with self._lock:
            for future in self._pending.values():
                future.cancel()
            self._pending = {}
            self._epoch = epoch
            self.waited = 0.0
            self.error = None

    def close(self):
        """Ends the threads; batches cannot be read afterwards. May be called twice."""
        with self._lock:
            self._pending = {}
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, exception, traceback):
        self.close()
        if self.error is not None and isinstance(exception, Exception):
            if exception is not self.error:
                raise self.error from None

    def _submit(self, number):
        try:
            return self._pool.submit(self._make, number)
        except RuntimeError:
            raise KerasdlError("these batches are closed") from None

    def _make(self, number):
        """Batch `number` of the endless row: a pure function of it and the seed."""
        turn, indices = self._samples(number)
        images, labels, masks = self.source.take(indices)
        if self.augment is not None:
            table = uniforms(self.seed, turn, indices, self.augment.columns)
            images, masks = self.augment.apply(images, masks, table)
        return self.prepare(images, labels, masks)

    def _samples(self, number):
        """The pass that batch `number` belongs to, and this process' samples of it."""
        turn, batch = self._whole(number)
        process, processes = self._shard
        if self._rest == "whole" and len(batch) % self._replicas:
            return turn, batch
        return turn, batch[process::processes]

    def _whole(self, number):
        """The pass that batch `number` belongs to, and its samples over all processes."""
        turn, position = divmod(number, self._per_pass)
        return turn, self._order(turn)[self._edges[position] : self._edges[position + 1]]

    def _order(self, turn):
        """Order of the samples in a pass over the data, int64, shape (N,)."""
        if not self.shuffle:
            turn = 0
        order = self._orders.get(turn)
        if order is None:
            if self.shuffle:
                order = numpy.random.default_rng((self.seed, turn)).permutation(len(self.source))
            else:
                order = numpy.arange(len(self.source))
            # Look-ahead can reach into the next pass: the last few are enough.
            recent = dict(itertools.islice(reversed(list(self._orders.items())), 2))
            self._orders = {**recent, turn: order}
        return order


def _edges(samples, batch_size, replicas, rest):
    """Where the batches of a pass begin, and where the last one ends; `rest` as in `Batches`."""
    left = samples % batch_size
    edges = list(range(0, samples - left + 1, batch_size))
    if rest == "drop" and left >= replicas:
        edges.append(samples - left % replicas)
    elif rest == "whole" and left:
        edges.append(samples)
    elif rest == "share" and left:
        unequal = samples % replicas + replicas if samples % replicas else 0
        edges = sorted({*range(0, samples - unequal, batch_size), samples - unequal, samples})
    return edges


__all__ = ["Batches", "Source"]
