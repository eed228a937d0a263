"""The data set passed to `model.fit`, on each backend."""

import keras

from kerasdl.backend import machine


def feed(batches):
    """The batches themselves; on TensorFlow a `tf.data.Dataset`, on torch with a GPU tensors on it.

    Keras 3.15 would build one as well, but with autotuning: see `untuned`.

    Args:
        batches: `kerasdl.data.pipeline.batches.Batches`.
    """
    if keras.config.backend() == "torch":
        device = keras.ops.zeros(()).device  # where Keras computes
        return OnGpu(batches, device) if device.type == "cuda" else batches
    if keras.config.backend() != "tensorflow":
        return batches
    import tensorflow

    def read():
        # Not earlier: the TensorFlow op that calls this resets the C library to return freed
        # memory, which costs a fifth of the speed or more.
        machine.keep_freed_memory()
        for index in range(len(batches)):
            yield batches[index]

    dataset = tensorflow.data.Dataset.from_generator(read, output_signature=signature(batches))
    count = tensorflow.data.experimental.assert_cardinality(len(batches))
    return untuned(dataset.apply(count).prefetch(2))


class OnGpu(keras.utils.PyDataset):
    """Batches as tensors on the GPU, copied while it computes.

    Keras would copy from ordinary memory, which first waits for the previous step.

    Args:
        batches: `kerasdl.data.pipeline.batches.Batches`.
        device: The `torch.device`.
    """

    def __init__(self, batches, device):
        super().__init__(workers=1)
        self.batches = batches
        self.device = device

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        import torch

        return tuple(
            torch.as_tensor(part).pin_memory().to(self.device, non_blocking=True)
            for part in self.batches[index]
        )


def signature(batches):
    """The `tf.TensorSpec` of each part of a batch; the batch dimension is unknown."""
    import tensorflow

    return tuple(tensorflow.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0])


def untuned(dataset):
    """A `tf.data.Dataset` without autotuning.

    tf.data 2.21 autotunes in a thread that sleeps between rounds, for up to the iterator's age, and
    sometimes misses the iterator's end. Deleting the iterator then waits for it: 16 seconds after
    an epoch of 20. There is nothing to tune here: the threads of `Batches` do the work.
    """
    import tensorflow

    options = tensorflow.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
