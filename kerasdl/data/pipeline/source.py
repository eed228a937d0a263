"""The samples of a split as arrays of one size, decoded once and kept in memory while they fit."""

import threading

import numpy

from kerasdl.core.errors import DataError, KerasdlError
from kerasdl.data.images import resize_image, resize_mask


class Source:
    """The samples of one split at one size, kept in memory as far as the limit allows.

    Decoding and resizing happen once per sample; what does not fit is decoded again each time.
    Safe to read from several threads.

    Args:
        split: A `kerasdl.data.base.Split`.
        image_size: (height, width) of what `take` returns.
        resize: "crop" keeps the aspect ratio, "stretch" does not.
        cache_megabytes: Most memory for decoded samples, in MiB; 0 keeps none.
        masks: Whether to keep masks; False saves their memory where the task needs none.
    """

    def __init__(self, split, image_size, resize="crop", cache_megabytes=4096, masks=True):
        self.split = split
        self.image_size = tuple(image_size)
        self.resize = resize
        self.masks = masks
        self.cached = 0  # the samples with an index below this one stay in memory
        self._limit = int(cache_megabytes * 2**20)
        self._kept = None  # images, labels and masks of the samples that stay in memory
        self._filled = None
        self._allocation = threading.Lock()

    def __len__(self):
        return len(self.split)

    def name(self, index):
        """Identifier of a sample for messages."""
        return self.split.name(int(index))

    def take(self, indices):
        """Samples as arrays.

        Args:
            indices: Integers, shape (B,).

        Returns:
            images uint8 (B, H, W, 3), labels int32 (B,) or None, masks uint8 (B, H, W) or None.

        Raises:
            DataError: A sample cannot be read; it carries the sample's name or path.
        """
        indices = numpy.asarray(indices, dtype=numpy.int64)
        if self._filled is not None and self.cached:
            held = indices < self.cached
            if held.all() and self._filled[indices].all():
                return tuple(None if part is None else part[indices] for part in self._kept)
            missing = ~held
            missing[held] = ~self._filled[indices[held]]
        else:
            missing = numpy.ones(len(indices), dtype=bool)
        fresh = self._read(indices[missing])
        if self._filled is None:
            self._allocate(fresh)
        self._keep(indices[missing], fresh)
        if missing.all():
            return fresh
        return tuple(
            None if kept is None else _merged(kept, new, indices, missing)
            for kept, new in zip(self._kept, fresh, strict=True)
        )

    def _read(self, indices):
        """Decodes and resizes samples; a split that reads or makes several at once is asked to."""
        if hasattr(self.split, "take"):
            with _naming(self.split, indices):
                batch = self.split.take(indices, self.image_size)
            if batch is not None and batch[0].shape[1:3] == self.image_size:
                images, labels, masks = batch
                labels = None if labels is None else numpy.asarray(labels, dtype=numpy.int32)
                return images, labels, masks if self.masks else None
        if hasattr(self.split, "__getitems__"):
            with _naming(self.split, indices):
                found = self.split.__getitems__(indices.tolist())
            samples = [self._resized(sample) for sample in found]
        else:
            samples = []
            for index in indices.tolist():
                with _naming(self.split, (index,)):
                    samples.append(self._resized(self.split[index]))
        images, labels, masks = zip(*samples, strict=True)
        return (
            numpy.stack(images),
            None if labels[0] is None else numpy.array(labels, dtype=numpy.int32),
            None if masks[0] is None else numpy.stack(masks),
        )

    def _resized(self, sample):
        image, mask = sample.image, sample.mask if self.masks else None
        if image.shape[:2] != self.image_size:
            image = resize_image(image, self.image_size, self.resize)
        if mask is not None and mask.shape != self.image_size:
            mask = resize_mask(mask, self.image_size, self.resize)
        return image, sample.label, mask

    def _allocate(self, example):
        """Sets memory aside; the system provides it only as it is filled."""
        with self._allocation:
            if self._filled is not None:
                return
            each = sum(part[0].nbytes for part in example if part is not None)
            self.cached = min(len(self), self._limit // each)
            self._kept = tuple(
                None if part is None else numpy.empty((self.cached, *part.shape[1:]), part.dtype)
                for part in example
            )
            self._filled = numpy.zeros(self.cached, dtype=bool)

    def _keep(self, indices, batch):
        held = indices < self.cached
        if not held.any():
            return
        for kept, part in zip(self._kept, batch, strict=True):
            if kept is not None:
                kept[indices[held]] = part[held]
        self._filled[indices[held]] = True  # last, as other threads read without a lock


class _naming:
    """Turns an error of a reader into a DataError that names the sample."""

    def __init__(self, split, indices):
        self.split = split
        self.indices = indices

    def __enter__(self):
        return self

    def __exit__(self, kind, exception, traceback):
        if not isinstance(exception, Exception) or isinstance(
            exception, (KerasdlError, MemoryError)
        ):
            return
        name = self.split.name(int(self.indices[0]))
        if len(self.indices) > 1:
            name += f" ... {self.split.name(int(self.indices[-1]))}"
        reason = exception.strerror if isinstance(exception, OSError) else str(exception)
        what = f"sample cannot be read: {reason or type(exception).__name__}"
        raise DataError(what, name, "run `kerasdl data check`") from exception


def _merged(kept, fresh, indices, missing):
    """Batch of which the samples `missing` come from `fresh`, the others from memory."""
    batch = numpy.empty((len(indices), *fresh.shape[1:]), fresh.dtype)
    batch[~missing] = kept[indices[~missing]]
    batch[missing] = fresh
    return batch
