"""ResNet-18 in plain PyTorch, with the parameter names that torchvision and timm publish."""

import sys

import pytest
import torch

DECLARED = []  # operators exist as long as their library


class BasicBlock(torch.nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = torch.nn.Sequential(
                torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                torch.nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(torch.nn.Module):
    """`forward` takes normalized images, as torchvision's does."""

    def __init__(self, widths=(64, 128, 256, 512), classes=1000):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, widths[0], 7, 2, padding=3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(widths[0])
        self.maxpool = torch.nn.MaxPool2d(3, 2, padding=1)
        for stage, width in enumerate(widths):
            before = widths[max(0, stage - 1)]
            blocks = (BasicBlock(before, width, 1 + (stage > 0)), BasicBlock(width, width, 1))
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.fc = torch.nn.Linear(widths[-1], classes)

    def forward(self, x):
        return self.after_stem(self.conv1(x))

    def after_stem(self, x):
        x = self.maxpool(torch.relu(self.bn1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean(dim=(2, 3)))


def random_resnet18(widths, classes):
    """See `randomized`."""
    return randomized(ResNet18(widths, classes))


def published_resnet18(library, classes):
    """ResNet-18 of "torchvision" or "timm", see `randomized`; skips where that is missing."""
    _import_torchvision()
    pytest.importorskip(library)
    if library == "torchvision":
        return randomized(sys.modules[library].models.resnet18(num_classes=classes))
    return randomized(sys.modules[library].create_model("resnet18", num_classes=classes))


def _import_torchvision():
    """Its package index build cannot load its operators beside torch's CPU build.

    It then fails to describe them. No network calls one, so that declarations are enough.
    """
    try:
        pytest.importorskip("torchvision")
    except RuntimeError:
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        DECLARED.append(operators)
        import torchvision  # noqa: F401


def randomized(network):
    """In evaluation mode, with weights and statistics that all differ from each other."""
    generator = torch.Generator().manual_seed(3)
    for name, value in network.state_dict().items():
        if value.ndim > 1:  # He: the signal keeps its size
            spread = (2 / value[0].numel()) ** 0.5
            value.copy_(spread * torch.randn(value.shape, generator=generator))
        elif value.ndim == 1:
            low = 0.5 if name.endswith(("weight", "var")) else -0.5
            value.copy_(low + torch.rand(value.shape, generator=generator))
    return network.eval()
