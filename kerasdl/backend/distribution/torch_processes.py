"""torch: one process per device, started by `torchrun`; gradients are averaged before each update.

Keras 3.15 has no distribution on torch, and `DistributedDataParallel(model)` has no `fit`. So each
process runs plain `model.fit` with an optimizer that averages the gradients over the processes
before applying them.
"""

import contextlib
import datetime
import os

import keras
import numpy

from kerasdl.backend.distribution.group import Group
from kerasdl.backend.distribution.together import StopTogether, synchronize_norms
from kerasdl.core.errors import ConfigError, TrainingFailed

# Process 0 may have to download the data while the others wait.
LONGEST_WAIT = datetime.timedelta(hours=6)


def start():
    """The group of processes started by torchrun.

    Raises:
        ConfigError: Not started by torchrun, or with more processes than there are GPUs.
    """
    import torch

    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise ConfigError(
            "with torch, 'distribute' needs one process per device",
            fix="torchrun --nproc-per-node gpu -m kerasdl train ... --distribute data",
        )
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        local = int(os.environ.get("LOCAL_RANK", 0))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"process {local} of this machine has no GPU; GPUs available: "
                f"{torch.cuda.device_count()}",
                fix="torchrun --nproc-per-node gpu",
            )
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=LONGEST_WAIT)
    return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size(), on_gpu)


class Processes(Group):
    """Processes of torchrun, one replica each."""

    def __init__(self, rank, processes, on_gpu):
        self.rank = rank
        self.processes = self.replicas = processes
        self._device = "cuda" if on_gpu else "cpu"
        self._sum_with_gradient = _sum_with_gradient()

    @property
    def seed(self):
        return (self.rank,) if self.rank else ()

    @property
    def training(self):
        return {"shard": (self.rank, self.processes)}

    @property
    def validation(self):
        return {"shard": (self.rank, self.processes), "rest": "share"}

    def prepare_model(self, model):
        synchronize_norms(model, self)
        optimizer = model.optimizer
        apply = optimizer.apply

        def apply_average(grads, trainable_variables=None):
            return apply(self._average(grads), trainable_variables)

        optimizer.apply = apply_average

    def watch(self, stop, batches, validation):
        return [StopTogether(self, stop), MergeMetrics(self, batches, validation)]

    def total(self, values):
        import torch

        values = [keras.ops.convert_to_tensor(value) for value in values]
        if values[0].device.type == "meta":  # Keras builds the model symbolically
            return values
        flat = self._sum_with_gradient(torch.cat([value.reshape(-1) for value in values]))
        parts = torch.split(flat, [value.numel() for value in values])
        return [part.view_as(value) for part, value in zip(parts, values, strict=True)]

    def sum(self, numbers):
        import torch

        # Gathered and added in the order of the ranks, so that the result is bit-identical on all.
        own = torch.tensor(numbers, dtype=torch.float64, device=self._device)
        parts = [torch.empty_like(own) for _ in range(self.processes)]
        with _peers():
            torch.distributed.all_gather(parts, own)
        return torch.stack(parts).sum(dim=0).tolist()

    def close(self, failed=False):
        import torch

        # After a failure, an orderly shutdown would wait for the others.
        if not failed:
            torch.distributed.destroy_process_group()

    def _average(self, gradients):
        import torch

        there = [gradient for gradient in gradients if gradient is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in there])
        with _peers():
            torch.distributed.all_reduce(flat)
        flat /= self.processes
        parts = iter(torch.split(flat, [gradient.numel() for gradient in there]))
        return [None if g is None else next(parts).view_as(g) for g in gradients]


class MergeMetrics(keras.callbacks.Callback):
    """Sums the metrics over the processes after the last batch, before Keras reads them.

    Metric variables are sums over samples; those that are not declare it in their `aggregation` and
    are left unchanged.
    """

    def __init__(self, group, batches, validation):
        super().__init__()
        self.group = group
        self.batches = batches
        self.validation = validation

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == len(self.batches):
            self._merge()

    def on_test_batch_end(self, batch, logs=None):
        if batch + 1 == len(self.validation):
            self._merge()

    def _merge(self):
        variables = [
            variable
            for metric in self.model.metrics
            for variable in metric.variables
            if variable.aggregation == "sum"
        ]
        values = [keras.ops.convert_to_numpy(variable) for variable in variables]
        flat = self.group.sum(numpy.concatenate([value.ravel() for value in values]).tolist())
        for variable, value in zip(variables, values, strict=True):
            part, flat = flat[: value.size], flat[value.size :]
            variable.assign(numpy.array(part).reshape(value.shape).astype(value.dtype))


@contextlib.contextmanager
def _peers():
    """Turns a connection error into a one-line error."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingFailed(
            "another process of this run ended early",
            fix="see its message; the last finished epoch is kept, repeat the command to resume",
        ) from error


def _sum_with_gradient():
    """Function that sums a tensor over the processes; its gradient is summed as well."""
    import torch

    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(context, value):
            value = value.clone()
            with _peers():
                torch.distributed.all_reduce(value)
            return value

        @staticmethod
        def backward(context, gradient):
            return Sum.apply(gradient)

    return Sum.apply
