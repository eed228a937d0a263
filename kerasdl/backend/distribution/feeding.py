"""What `model.fit` reads from batches, on each backend."""

import keras

from kerasdl.backend import machine


def feed(batches):
    """The batches themselves; on TensorFlow a `tf.data.Dataset` of them.

    Keras 3.15 makes such a data set too, but a tuned one: see `untuned`.

    Args:
        batches: `kerasdl.data.pipeline.batches.Batches`.
    """
    if keras.config.backend() != "tensorflow":
        return batches
    import tensorflow

    def read():
        # Here and not earlier: the operation that calls this has just told the C library to return
        # freed memory again, which costs a fifth of the speed or more.
        machine.keep_freed_memory()
        for index in range(len(batches)):
            yield batches[index]

    dataset = tensorflow.data.Dataset.from_generator(read, output_signature=signature(batches))
    count = tensorflow.data.experimental.assert_cardinality(len(batches))
    return untuned(dataset.apply(count).prefetch(2))


def signature(batches):
    """The `tf.TensorSpec` of each part of a batch; the number of samples is left open."""
    import tensorflow

    return tuple(tensorflow.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0])


def untuned(dataset):
    """A `tf.data.Dataset` that tunes nothing while it runs.

    tf.data 2.21 tunes in a thread that sleeps between its rounds, up to as long as the iterator
    has lived, and now and then sleeps on when the iterator ends. Whoever drops the iterator waits
    for it: after an epoch of 20 seconds, 16 more. There is nothing to tune here: the threads of
    `Batches` do the work.
    """
    import tensorflow

    options = tensorflow.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
