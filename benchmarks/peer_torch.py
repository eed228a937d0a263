"""The trainings of `peer_training.py` that use PyTorch without Keras."""

import os
import pathlib

import numpy
from peer_data import BATCH, CLASSES, PAD, SIDE, files
from peer_training import FOREVER, MOMENTUM, RATE, WORKERS

# Width of smp's decoder at full size for the multiplications of kerasdl's, which has 16 there (157
# and 153 million at 64x64): smp does not halve the channels before it concatenates the skip.
SMP_DECODER = 14


def vision():
    """torchvision, whose package index build needs CUDA's torch for its compiled operators.

    On another torch they are missing and the import fails where it describes them. None of them is
    used here, so that their declarations are enough.
    """
    import torch

    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        vision.library = library  # the declarations end with it
        import torchvision
    return torchvision


def network(job):
    """The network of a job, channels last."""
    import torch

    if job["peer"] == "lightning-smp":
        vision()
        import segmentation_models_pytorch

        made = segmentation_models_pytorch.Unet(
            "resnet18", encoder_weights=None, classes=CLASSES,
            decoder_channels=[SMP_DECODER * 2**level for level in (4, 3, 2, 1, 0)],
        )  # fmt: skip
    else:
        import reference_loop

        made = reference_loop.build(job["model"], (SIDE, SIDE), CLASSES)
    return made.to(memory_format=torch.channels_last)


class Files:
    """A data set of torch: reads, flips and crops one sample with torchvision."""

    def __init__(self, pairs, train=False):
        vision()
        import torch
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        self.files, self.mask = pairs, tv_tensors.Mask
        crop = v2.RandomCrop(SIDE, padding=PAD, padding_mode="reflect")
        moves = [crop, v2.RandomHorizontalFlip()] if train else [v2.Resize((SIDE, SIDE))]
        self.transform = v2.Compose([v2.ToImage(), *moves, v2.ToDtype(torch.float32, True)])

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        import PIL.Image
        import torch

        path, truth = self.files[index]
        image = PIL.Image.open(path).convert("RGB")
        if isinstance(truth, int):
            return self.transform(image), truth
        image, mask = self.transform(image, self.mask(numpy.array(PIL.Image.open(truth))))
        return image, mask.to(torch.long)


def loader(job, split):
    """Batches of a split from two worker processes that stay."""
    import torch

    return torch.utils.data.DataLoader(
        Files(files(pathlib.Path(job["data"]), split), split == "train"), BATCH,
        shuffle=split == "train",
        num_workers=WORKERS, persistent_workers=True,
    )  # fmt: skip


def unlabeled(images):
    """Batches of image files without labels; few images are read by the process itself."""
    import torch

    found = Files([(each, 0) for each in images])
    workers = WORKERS if len(images) > BATCH else 0
    return torch.utils.data.DataLoader(found, BATCH, num_workers=workers)


def lightning(job, clock, epochs):
    """Lightning's `Trainer`."""
    vision()  # before Lightning looks for it
    import torch
    from lightning import pytorch

    class Module(pytorch.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network(job)

        def training_step(self, batch, number):
            x, y = batch
            x = x.to(memory_format=torch.channels_last)
            return torch.nn.functional.cross_entropy(self.network(x), y)

        def validation_step(self, batch, number):
            self.log("val_loss", self.training_step(batch, number))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), RATE, MOMENTUM, weight_decay=1e-5)

    class Times(pytorch.Callback):
        def on_train_epoch_start(self, *arguments):
            clock.epoch_began()

        def on_train_batch_end(self, *arguments):
            clock.step_ended()

        def on_train_epoch_end(self, *arguments):
            clock.epoch_ended()

    held_out = None if epochs == FOREVER else loader(job, "validation")
    trainer = pytorch.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[Times()], logger=False,
        precision="32-true" if job["precision"] == "float32" else "bf16-mixed",
        enable_checkpointing=epochs != FOREVER, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=os.path.join(job["data"], "lightning"),
    )  # fmt: skip
    trainer.fit(Module(), loader(job, "train"), held_out)


def fastai(job, clock, epochs):
    """fastai's `Learner` from its data block; flips only: its crop has no padding."""
    vision()
    import torch
    from fastai import callback, learner, losses, optimizer
    from fastai.data.block import CategoryBlock, DataBlock
    from fastai.data.transforms import (
        FuncSplitter,
        GrandparentSplitter,
        get_image_files,
        parent_label,
    )
    from fastai.vision import augment
    from fastai.vision.data import ImageBlock, MaskBlock

    masks = job["task"] == "segmentation"

    def mask_of(path):
        return pathlib.Path(str(path).replace("/images/", "/masks/"))

    root = pathlib.Path(job["data"])
    if masks:
        root, blocks, label = root / "images", (ImageBlock, MaskBlock(range(CLASSES))), mask_of
        splitter = FuncSplitter(lambda path: path.parent.name == "validation")
    else:
        blocks, label = (ImageBlock, CategoryBlock), parent_label
        splitter = GrandparentSplitter("train", "validation")

    def items(path):
        return get_image_files(path, folders=["train", "validation"])

    block = DataBlock(
        blocks, get_items=items, splitter=splitter, get_y=label, batch_tfms=[augment.Flip()]
    )
    loaders = block.dataloaders(root, bs=BATCH, num_workers=WORKERS, device=torch.device("cpu"))

    class Times(callback.core.Callback):
        def before_train(self):
            clock.epoch_began()

        def after_batch(self):
            if self.training:
                clock.step_ended()

        def after_train(self):
            clock.epoch_ended()

    found = learner.Learner(
        loaders, network(job), losses.CrossEntropyLossFlat(axis=1 if masks else -1), lr=RATE,
        opt_func=lambda parameters, lr: optimizer.SGD(parameters, lr, mom=MOMENTUM, wd=1e-5),
        cbs=[Times()], path=root,
    )  # fmt: skip
    if job["precision"] != "float32":
        found = found.to_bf16()
    if epochs == FOREVER:
        found._do_epoch_validate = lambda *arguments: None
    found.fit(epochs)
    if epochs != FOREVER:
        found.save("peer")


def ultralytics(job, clock, epochs):
    """Ultralytics' classification trainer; its crop is resized, and its moving average stays on."""
    vision()
    import torch
    from ultralytics.models.yolo.classify import ClassificationTrainer

    class Network(torch.nn.Module):
        criterion = None

        def __init__(self):
            super().__init__()
            self.network = network(job)

        def forward(self, x, **options):  # what its validation asks of its own networks
            if not isinstance(x, dict):
                return self.network(x)
            return self.loss(x, self.network(x["img"].to(memory_format=torch.channels_last)))

        def loss(self, batch, logits):
            loss = torch.nn.functional.cross_entropy(logits, batch["cls"])
            return loss, {"loss": loss.detach()}

    class Trainer(ClassificationTrainer):
        def setup_model(self):
            self.model = Network()

        def save_model(self):
            """The weights: its own pickles the class of the network, which is local here."""
            torch.save(self.model.state_dict(), self.last)

        def final_eval(self):
            """Needs a checkpoint of one of Ultralytics' own networks."""

    trainer = Trainer(
        overrides={
            "model": "yolo11n-cls.yaml", "data": job["data"], "imgsz": SIDE, "batch": BATCH,
            "nbs": BATCH, "epochs": epochs, "device": "cpu", "workers": WORKERS,
            "optimizer": "SGD", "lr0": RATE, "momentum": MOMENTUM, "weight_decay": 1e-5,
            "amp": False if job["precision"] == "float32" else "bf16", "scale": 0.1,
            "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "erasing": 0.0, "auto_augment": None,
            "fliplr": 0.5, "val": False, "save": False, "plots": False, "verbose": False,
            "patience": 0, "close_mosaic": 0, "project": os.path.join(job["data"], "ultralytics"),
        }
    )  # fmt: skip
    trainer.add_callback("on_train_epoch_start", lambda _: clock.epoch_began())
    trainer.add_callback("on_train_batch_end", lambda _: clock.step_ended())
    trainer.add_callback("on_train_epoch_end", lambda _: clock.epoch_ended())
    trainer.train()
