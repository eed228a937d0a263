"""The same models and training step in plain PyTorch, without Keras, as a reference:

    kerasdl benchmark --reference benchmarks/reference_loop.py:Loop

`Compiled` in place of `Loop` goes through `torch.compile`. Channels last in memory, SGD with
momentum and weight decay, automatic mixed precision. The batches are the same, but already in
memory.
"""

import functools
import time

import numpy

from kerasdl.core.errors import ConfigError

NETWORKS = ("resnet18", "fcn32", "fcn16", "fcn8", "unet")


class Loop:
    """An eager training loop.

    `kerasdl benchmark` creates one in its own process, calls `first_step` and then `block` once
    per round.

    Args:
        job: model, image_size, batch_size, precision, steps (per block), seed.

    Attributes:
        parameters: Number of trainable parameters, known after the first step.
    """

    compiled = False

    def __init__(self, job):
        # Not above: a loop that only builds the networks needs no Keras.
        import torch

        from kerasdl.backend import precision as precisions
        from kerasdl.engine import datasets
        from kerasdl.tools.benchmark import subject

        config = subject.settings(job)
        precisions.resolve(config.precision, "torch")
        torch.manual_seed(config.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.config = config
        self.steps = job["steps"]
        dataset = datasets.load(config)
        self.outputs = len(dataset.class_names)
        with subject.open_batches(config, dataset, subject.PASS) as batches:
            self.batches = [batches[step] for step in range(subject.PASS)]

    def first_step(self):
        """Builds, compiles and trains the first step."""
        import torch

        self.model = build(self.config.model, self.config.image_size, self.outputs).to(
            self.device, memory_format=torch.channels_last
        )
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            self.config.learning_rate,
            momentum=self.config.momentum,
            weight_decay=self.config.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(
            self.device, enabled=self.config.precision == "mixed_float16"
        )
        self.forward = torch.compile(self.model) if self.compiled else self.model
        self._step(0)

    def block(self):
        """Seconds of each step of a block, and those spent waiting for data: none."""
        self._step(0)
        seconds = []
        for number in range(self.steps):
            began = time.perf_counter()
            self._step(number + 1)
            seconds.append(time.perf_counter() - began)
        return seconds, 0.0

    def _step(self, number):
        import torch

        x, y = self.batches[number % len(self.batches)]
        x = torch.from_numpy(x).to(self.device).permute(0, 3, 1, 2)
        y = torch.from_numpy(numpy.asarray(y)).to(self.device, torch.long)
        kind = torch.float16 if self.config.precision == "mixed_float16" else torch.bfloat16
        self.optimizer.zero_grad()
        with torch.autocast(self.device, kind, enabled=self.config.precision != "float32"):
            loss = torch.nn.functional.cross_entropy(self.forward(x).float(), y)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())


class Compiled(Loop):
    """The same with `torch.compile`."""

    compiled = True


def build(name, image_size, outputs):
    """The PyTorch equivalent of `kerasdl.models.build(name, (*image_size, 3), outputs)`.

    Raises:
        ConfigError: There is no such model here, or the sides are not multiples of the stride
        (kerasdl would pad them).
    """
    if name not in NETWORKS:
        raise ConfigError(f"there is no plain PyTorch {name}")
    stride = {"resnet18": 1, "unet": 16}.get(name, 32)
    if any(side % stride for side in image_size):
        raise ConfigError(
            f"the plain PyTorch {name} takes multiples of {stride}, not "
            f"{image_size[0]}x{image_size[1]}"
        )
    if name == "resnet18":
        return _resnet18(outputs, small=max(image_size) <= 40)
    return _unet(outputs) if name == "unet" else _fcn(outputs, int(name.removeprefix("fcn")))


def _convolution_norm(inputs, outputs, size=3, stride=1):
    from torch import nn

    return [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


@functools.cache
def _classes():
    """The modules with branches, defined here because torch is imported lazily."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.body = nn.Sequential(
                *_convolution_norm(inputs, outputs, 3, stride),
                nn.ReLU(),
                *_convolution_norm(outputs, outputs),
            )
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Sequential(
                *([] if same else _convolution_norm(inputs, outputs, 1, stride))
            )

        def forward(self, x):
            return torch.relu(self.body(x) + self.shortcut(x))

    class Fcn(nn.Module):
        """`parts` from fine to coarse; the last ones are scored and fused."""

        def __init__(self, parts, widths, outputs, factor):
            super().__init__()
            self.parts = nn.ModuleList(parts)
            self.scores = nn.ModuleList(
                nn.Sequential(*_convolution_norm(width, outputs, 1)) for width in widths
            )
            self.doubles = nn.ModuleList(
                nn.ConvTranspose2d(outputs, outputs, 4, 2, 1, bias=False) for _ in widths[1:]
            )
            self.upsample = nn.ConvTranspose2d(
                outputs, outputs, 2 * factor, factor, factor // 2, bias=False
            )

        def forward(self, x):
            features = []
            for part in self.parts:
                x = part(x)
                features.insert(0, x)
            scores = self.scores[0](features[0])
            for double, score, finer in zip(
                self.doubles, self.scores[1:], features[1:], strict=False
            ):
                scores = double(scores) + score(finer)
            return self.upsample(scores)

    class Unet(nn.Module):
        """One level: down, the levels below, up, and the skip connection."""

        def __init__(self, inputs, width, below):
            super().__init__()
            self.down = nn.Sequential(*_two_convolutions(inputs, width))
            self.below = nn.Sequential(
                nn.MaxPool2d(2), below, nn.ConvTranspose2d(2 * width, width, 2, 2)
            )
            self.up = nn.Sequential(*_two_convolutions(2 * width, width))

        def forward(self, x):
            x = self.down(x)
            return self.up(torch.cat([x, self.below(x)], 1))

    return Residual, Fcn, Unet


def _stages(small):
    """Stem and first stage, then the other three stages of ResNet-18."""
    from torch import nn

    residual = _classes()[0]
    if small:
        stem = [*_convolution_norm(3, 64), nn.ReLU()]
    else:
        stem = [*_convolution_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    stages = [nn.Sequential(*stem, residual(64, 64, 1), residual(64, 64, 1))]
    for width in (128, 256, 512):
        stages.append(nn.Sequential(residual(width // 2, width, 2), residual(width, width, 1)))
    return stages


def _resnet18(outputs, small):
    from torch import nn

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, outputs)]
    return nn.Sequential(*_stages(small), *head)


def _fcn(outputs, stride):
    widths = {32: (512,), 16: (512, 256), 8: (512, 256, 128)}[stride]
    return _classes()[1](_stages(small=False), widths, outputs, stride)


def _two_convolutions(inputs, outputs):
    from torch import nn

    first, second = _convolution_norm(inputs, outputs), _convolution_norm(outputs, outputs)
    return [*first, nn.ReLU(), *second, nn.ReLU()]


def _unet(outputs, filters=16, depth=4):
    from torch import nn

    bottom = filters * 2**depth
    level = nn.Sequential(*_two_convolutions(bottom // 2, bottom))
    for number in range(depth - 1, -1, -1):
        width = filters * 2**number
        level = _classes()[2](width // 2 if number else 3, width, level)
    return nn.Sequential(level, nn.Conv2d(filters, outputs, 1))
