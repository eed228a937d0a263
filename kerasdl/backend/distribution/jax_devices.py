"""JAX: one process per machine, all of its devices; several machines through `jax.distributed`.

The compiled step sees the global batch, so losses, batch norm, dropout and metrics equal those of a
single device by construction.
"""

import os
import types

import keras

from kerasdl.backend.distribution.group import Group
from kerasdl.backend.distribution.together import StopTogether
from kerasdl.core.errors import ConfigError

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def start():
    """The group of all devices of all machines.

    Raises:
        ConfigError: Only some of the variables that name the machines are set.
    """
    import jax

    values = [os.environ.get(name) for name in VARIABLES]
    if any(values):
        if not all(values) or not (values[1].isdigit() and values[2].isdigit()):
            raise ConfigError(f"{', '.join(VARIABLES)} must all be set, the last two to numbers")
        jax.distributed.initialize(values[0], int(values[1]), int(values[2]))
    return Devices()


class Devices(Group):
    """Devices of JAX in one or more processes."""

    def __init__(self):
        import jax

        self.replicas = jax.device_count()
        self.processes = jax.process_count()
        self.rank = jax.process_index()
        self._distribution = DataParallel(auto_shard_dataset=False)

    @property
    def training(self):
        return {"shard": (self.rank, self.processes), "replicas": self.replicas}

    @property
    def validation(self):
        return {**self.training, "rest": "whole"}

    def scope(self):
        return self._distribution.scope()

    def wrap_dataset(self, batches):
        return Placed(batches, self._distribution)

    def watch(self, stop, batches, validation):
        return [stop] if self.processes == 1 else [StopTogether(self, stop)]

    def sum(self, numbers):
        if self.processes == 1:
            return list(numbers)
        import numpy
        from jax.experimental import multihost_utils

        gathered = multihost_utils.process_allgather(numpy.array(numbers, dtype="float32"))
        return numpy.asarray(gathered, dtype="float64").sum(axis=0).tolist()


class DataParallel(keras.distribution.DataParallel):
    """Data parallelism that replicates a batch which does not divide evenly over the devices.

    Keras 3.15 takes the layout of the first batch for all batches of an epoch, so that a smaller
    last batch fails. The layout returned here is evaluated again for every batch.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.shared = True

    def get_data_layout(self, data_shape):
        # Called once per epoch; the layout it returns is evaluated for every batch.
        axes = [self.batch_dim_name] + [None] * (len(data_shape) - 1)
        return types.SimpleNamespace(backend_layout=Layout(axes, self))


class Layout(keras.distribution.TensorLayout):
    """A batch split over the devices or replicated, as the distribution currently says."""

    def __init__(self, axes, distribution):
        super().__init__(axes, distribution.device_mesh)
        self._distribution = distribution

    @property
    def backend_layout(self):
        axes = self.axes if self._distribution.shared else [None] * len(self.axes)
        return keras.distribution.TensorLayout(axes, self.device_mesh).backend_layout


class Placed(keras.utils.PyDataset):
    """Batches that set whether each is split over the devices; read in one thread, in order."""

    def __init__(self, batches, distribution):
        super().__init__(workers=1)
        self.batches = batches
        self.distribution = distribution

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        self.distribution.shared = self.batches.is_shared(index)
        return self.batches[index]
