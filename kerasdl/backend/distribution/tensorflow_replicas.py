"""TensorFlow: all GPUs of this machine, or of all the machines that TF_CONFIG names."""

import contextlib
import json
import os

import keras

from kerasdl.backend import machine
from kerasdl.backend.distribution import feeding
from kerasdl.backend.distribution.group import Group
from kerasdl.backend.distribution.together import StopTogether, synchronize_norms
from kerasdl.core.errors import ConfigError, DataError


def start():
    """The group of all GPUs (of all logical CPU devices if there is no GPU).

    Raises:
        ConfigError: TF_CONFIG cannot be read.
    """
    import tensorflow

    try:
        workers = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker")
    except (ValueError, AttributeError):
        raise ConfigError("TF_CONFIG is not the JSON that TensorFlow expects") from None
    if workers and len(workers) > 1:
        return Replicas(tensorflow.distribute.MultiWorkerMirroredStrategy())
    kind = "GPU" if tensorflow.config.list_physical_devices("GPU") else "CPU"
    devices = [device.name for device in tensorflow.config.list_logical_devices(kind)]
    return Replicas(tensorflow.distribute.MirroredStrategy(devices))


class Replicas(Group):
    """Replicas of a `tf.distribute` strategy.

    Args:
        strategy: A mirrored strategy, with one or several workers.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        resolver = strategy.cluster_resolver
        self.replicas = strategy.num_replicas_in_sync
        self.processes = len(resolver.cluster_spec().as_dict()["worker"]) if resolver else 1
        self.rank = resolver.task_id if self.processes > 1 else 0

    @property
    def training(self):
        return {"shard": (self.rank, self.processes), "replicas": self.replicas}

    @property
    def validation(self):
        return {**self.training, "rest": "share"}

    @contextlib.contextmanager
    def scope(self):
        with self._strategy.scope():
            yield

    def prepare_model(self, model):
        synchronize_norms(model, self)

    def wrap_dataset(self, batches):
        """The batches split into one part per replica of this process, in turn.

        The strategy would split them itself, but leaves replicas without samples when a batch is
        small; convolving an empty batch fails in TensorFlow's oneDNN kernels.
        """
        import tensorflow

        if not batches.is_shared(0):  # Keras averages the first batch over the replicas
            raise DataError(
                f"{len(batches.source)} samples are too few for {self.replicas} devices",
                fix=f"use {2 * self.replicas} or more, or fewer devices",
            )
        here = self.replicas // self.processes

        def parts():
            machine.keep_freed_memory()  # see `feeding.feed`
            for index in range(len(batches)):
                batch = batches[index]
                for replica in range(here):
                    yield tuple(part[replica::here] for part in batch)

        signature = feeding.signature(batches)
        return _of_length(
            self._strategy.distribute_datasets_from_function(
                lambda context: feeding.untuned(
                    tensorflow.data.Dataset.from_generator(
                        parts, output_signature=signature
                    ).prefetch(here)
                )
            ),
            len(batches),
        )

    def watch(self, stop, batches, validation):
        return [stop if self.processes == 1 else StopTogether(self, stop)]

    def total(self, values):
        import tensorflow

        context = tensorflow.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return values
        values = [keras.ops.convert_to_tensor(value) for value in values]
        return context.all_reduce(tensorflow.distribute.ReduceOp.SUM, values)

    def sum(self, numbers):
        if self.processes == 1:
            return list(numbers)
        import tensorflow

        def reduce(vector):
            context = tensorflow.distribute.get_replica_context()
            return context.all_reduce(tensorflow.distribute.ReduceOp.SUM, vector)

        vector = tensorflow.constant(numbers, dtype="float64")
        result = self._strategy.run(tensorflow.function(reduce), args=(vector,))
        local = self._strategy.experimental_local_results(result)[0].numpy()
        return (local * self.processes / self.replicas).tolist()


def _of_length(dataset, batches):
    """A distributed data set that tells Keras how many batches it has.

    TensorFlow counts the elements of the function's data set, one per replica, if it counts at
    all. Where Keras does not know the end, it begins one more step after the last batch; the data
    run out within it, but by then the optimizer's counter has moved, and with it every schedule.
    """

    class Counted(type(dataset)):
        # The length of an epoch, in global batches.
        cardinality = batches

    dataset.__class__ = Counted
    return dataset
