"""What training needs from the devices and processes that it runs on."""

import contextlib
import zlib

from kerasdl.core.errors import ConfigError, KerasdlError


class MainProcessFailed(KerasdlError):
    """The main process failed; its own message says why. The exit code is the same."""

    def __init__(self, exit_code):
        super().__init__(f"process 0 ended with exit code {exit_code}", fix="see its message")
        self.exit_code = exit_code


class Group:
    """The replicas that train one model together; this base class is a single replica.

    Attributes:
        replicas: Number of devices, over all processes, that share a batch.
        processes: Number of processes.
        rank: Index of this process; process 0 writes.
        training: Arguments of `Batches` for this process' part of the training batches.
        validation: The same for validation, where no sample may be dropped.
    """

    replicas = 1
    processes = 1
    rank = 0

    @property
    def is_main(self):
        """Whether this process writes files and logs."""
        return self.rank == 0

    @property
    def seed(self):
        """Numbers added to the seeds of dropout, so that replicas do not draw the same masks."""
        return ()

    @property
    def training(self):
        return {}

    @property
    def validation(self):
        return {}

    def scope(self):
        """Context in which the model is built, compiled and fitted."""
        return contextlib.nullcontext()

    def prepare_model(self, model):
        """Synchronizes the replicas of a compiled model."""

    def wrap_dataset(self, batches):
        """What `model.fit` reads in place of the batches."""
        from kerasdl.backend.distribution import feeding

        return feeding.feed(batches)

    def watch(self, stop, batches, validation):
        """The first callbacks of `fit`: they stop all processes at the same batch.

        Args:
            stop: The `kerasdl.backend.signals.StopOnSignal` of this process.
            batches: The training batches.
            validation: The validation batches, or None.
        """
        return [stop]

    def total(self, values):
        """Sums of tensors over the replicas, inside a step; gradients flow through them."""
        return values

    def sum(self, numbers):
        """Sums of a list of numbers over the processes, equal on all; between steps only."""
        return list(numbers)

    def close(self, failed=False):
        """Leaves the group."""

    def run_on_main(self, action):
        """Runs the action on process 0 while the others wait; they get None. A failure ends all.

        Raises:
            MainProcessFailed: On the others, if the action raised.
        """
        if self.processes == 1:
            return action()
        result = failure = None
        if self.is_main:
            try:
                result = action()
            except Exception as error:
                failure = error
        code = getattr(failure, "exit_code", 1) if failure is not None else 0
        code = int(self.sum([code])[0])
        if failure is not None:
            raise failure
        if code:
            raise MainProcessFailed(code)
        return result

    def main_first(self, action):
        """Runs the action on process 0 first, then on the others; each gets its own result."""
        result = self.run_on_main(action)
        return result if self.is_main else action()

    def require_same(self, epoch, weights, fingerprint):
        """Checks that all processes start from the same state.

        Raises:
            ConfigError: They do not see the same run folder or the same data.
        """
        if self.processes == 1:
            return
        checksum = sum(float(abs(weight.astype("float64")).sum()) for weight in weights)
        for what, number in (
            ("data", zlib.crc32(fingerprint.encode()) % 2**20),
            ("run folder", epoch),
            ("first weights", checksum),
        ):
            mean = self.sum([number])[0] / self.processes
            if abs(mean - number) > 1e-6 * max(1.0, abs(number)):
                raise ConfigError(
                    f"the processes do not have the same {what}",
                    fix="give all of them the same command, data, and a run folder on a disk "
                    "that all of them can read",
                )


ALONE = Group()
