"""torch on a GPU: the training step as one CUDA graph.

Run call by call, a step of a small model takes the processor longer than the GPU. A CUDA graph is
recorded once and replayed as a whole: the same kernels on the same memory, without Python between
them. Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import logging

import keras

from kerasdl.backend.tuning import updates

WARM_STEPS = 3  # run call by call first, in which libraries set up what a recording cannot

logger = logging.getLogger("kerasdl")


def capture(model):
    """Lets `model.fit` replay the training step on a GPU.

    Steps that a graph cannot hold stay as they are: with `jit_compile`, with a scaled loss (its
    update depends on the gradients' values), and with several processes, which talk in between.
    """
    import torch

    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    values = [variable.value for variable in model.variables]
    if model.jit_compile or scaled or not updates.on_gpu(values):
        return
    if isinstance(model.train_function, CapturedStep):
        return
    if values[0].device.index != torch.cuda.current_device():
        return
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return
    model.make_train_function()
    model.train_function = CapturedStep(model.train_function)


class CapturedStep:
    """A training function that records its step once and then replays it.

    Batches of another shape than the first one, such as the last of an epoch, run call by call.

    Args:
        step: Function ([batch]) -> logs, where a batch is (x, y) or (x, y, sample_weight).
        warm: Function (step, [batch]) -> logs that runs a step before the recording.
        recorder: Function (step, batch on the device) -> (replay, logs), the latter written
            by each replay.
    """

    def __init__(self, step, warm=None, recorder=None):
        self.step = step
        self.warm = warm or _warm
        self.recorder = recorder or _record
        self._seen = 0
        self._shapes = None
        self._batch = self._replay = self._logs = None

    def __call__(self, data):
        if self.recorder is None:
            return self.step(data)
        # `train_on_batch` passes arrays.
        to_tensor = keras.ops.convert_to_tensor
        batch = tuple(None if part is None else to_tensor(part) for part in data[0])
        data = [batch]
        shapes = [None if part is None else (part.shape, part.dtype) for part in batch]
        self._shapes = self._shapes or shapes
        if shapes != self._shapes:
            return self.step(data)
        self._seen += 1
        if self._seen <= WARM_STEPS:
            return self.warm(self.step, data)
        if self._replay is None:
            try:
                self._batch = [None if part is None else part.clone() for part in batch]
                self._replay, self._logs = self.recorder(self.step, self._batch)
            except RuntimeError as error:  # or too little memory for the graph: nothing has run yet
                logger.warning(
                    "the training step cannot be a CUDA graph and runs call by call: %s",
                    str(error).splitlines()[0],
                )
                logger.debug("while recording", exc_info=True)
                self.recorder = self._batch = None
        if self.recorder is None:
            return self.step(data)
        for place, part in zip(self._batch, batch, strict=True):
            if part is not None:
                place.copy_(part)
        self._replay()
        # The next replay overwrites them before their reader, one step late, has looked.
        return keras.tree.map_structure(lambda value: value.clone(), self._logs)


def _warm(step, data):
    """Runs a step on a stream of its own, as a recording does."""
    import torch

    stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        logs = step(data)
    current.wait_stream(stream)
    return logs


def _record(step, batch):
    """Records a step; its kernels do not run before the first replay."""
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), _constants():
        logs = step([tuple(batch)])
    return graph.replay, logs


def _constants():
    """Within the block, numbers become tensors on the GPU without a copy from memory."""
    import torch

    class Constants(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if function is torch.as_tensor and not isinstance(args[0], torch.Tensor):
                return _constant(args[0], **kwargs)
            return function(*args, **kwargs)

    return Constants()


def _constant(value, dtype=None, device=None):
    import numpy
    import torch

    value = numpy.asarray(value)
    if not value.size:
        return torch.empty(value.shape, dtype=dtype, device=device)
    parts = [torch.full((), each, dtype=dtype, device=device) for each in value.ravel().tolist()]
    return torch.stack(parts).reshape(value.shape)
