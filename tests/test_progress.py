"""The line of an epoch: speed, time left and scores, on a clock that the test sets."""

import io
import types

import pytest
import rich.console

from kerasdl.engine import callbacks


class Batches:
    batch_size, waited = 8, 0.0

    def __len__(self):
        return 5


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now.seconds)
    return now


def lines(clock, terminal):
    stream = io.StringIO()
    console = rich.console.Console(
        file=stream, force_terminal=terminal, color_system=None, width=200, soft_wrap=True
    )
    progress = callbacks.Progress(Batches(), epochs=3, console=console, hidden=("mean_iou",))
    optimizer = types.SimpleNamespace(learning_rate=0.5)
    progress.set_model(types.SimpleNamespace(optimizer=optimizer))
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(5):
            # 10 s to compile, then half a second per step.
            clock.seconds += 10.0 if (epoch, batch) == (0, 0) else 0.5
            progress.on_train_batch_end(batch, {"loss": 1.0, "mean_iou": 0.0})
            if progress._bar is not None:
                progress._bar.refresh()
        progress.on_test_begin()
        clock.seconds += 2.0
        progress.on_epoch_end(epoch, {"loss": 1.0, "val_mean_iou": 0.25, "learning_rate": 0.5})
    return stream.getvalue()


def test_plain_lines_by_hand(clock):
    # 8 images in half a second. Epoch 1 takes 10 + 4 * 0.5 + 2 = 14 s, epoch 2 takes 4.5 s; the
    # epochs that are left are taken to be as long as the last one.
    assert lines(clock, terminal=False).splitlines() == [
        "epoch 1/3  14.0 s  16 images/s  28 s left  loss 1.0000  val_mean_iou 0.2500  lr 0.5",
        "epoch 2/3  4.5 s  16 images/s  4 s left  loss 1.0000  val_mean_iou 0.2500  lr 0.5",
    ]


def test_the_live_line_has_what_is_measured_in_training(clock):
    shown = lines(clock, terminal=True)
    # After step 2 of 5: 3 steps and two epochs of 5 steps are left, 13 * 0.5 s.
    assert "2/5 16 images/s  6 s left  loss 1.0000" in shown
    assert " mean_iou" not in shown
