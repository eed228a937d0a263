import os
import signal
import threading

import keras
import numpy
import pytest

from kerasdl.backend.signals import StopOnSignal, Stopped


@pytest.fixture(autouse=True)
def in_the_main_thread():
    """Elsewhere no handler can be set, and a signal would end the process of the tests."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("not in the main thread")


@pytest.mark.parametrize(
    ("number", "name", "code"), [(signal.SIGINT, "SIGINT", 130), (signal.SIGTERM, "SIGTERM", 143)]
)
def test_a_signal_sets_a_flag_and_the_batch_ends(number, name, code):
    batches = []
    with StopOnSignal("runs/a") as stop:
        os.kill(os.getpid(), number)
        batches.append("completed")  # nothing is interrupted where the signal arrives
        with pytest.raises(Stopped) as caught:
            stop.on_train_batch_end(3)
    assert batches == ["completed"]
    assert caught.value.exit_code == code
    assert str(caught.value) == f"stopped by {name}: runs/a (repeat the command to resume)"


@pytest.mark.parametrize(
    "moment",
    ["on_epoch_begin", "on_train_batch_end", "on_test_batch_end", "on_predict_batch_end"],
)
def test_every_loop_is_ended(moment):
    stop = StopOnSignal()
    getattr(stop, moment)(0)
    stop.received = signal.SIGTERM
    with pytest.raises(Stopped):
        getattr(stop, moment)(0)


def test_after_the_first_signal_the_second_has_its_default_action():
    with StopOnSignal():
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


@pytest.mark.parametrize("sent", [False, True])
def test_the_handlers_from_before_come_back(sent):
    def mine(number, frame):
        raise AssertionError

    before = {number: signal.signal(number, mine) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyError):
            with StopOnSignal():
                if sent:
                    os.kill(os.getpid(), signal.SIGINT)
                raise KeyError
        assert all(signal.getsignal(number) is mine for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_outside_the_main_thread_signals_keep_their_meaning():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with StopOnSignal() as stop:
            seen.append(signal.getsignal(signal.SIGTERM))
            stop.check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_fit_ends_at_the_batch_of_the_signal_on_this_backend():
    seen = []

    class Sender(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(batch)
            if batch == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        def on_train_end(self, logs=None):
            seen.append("regular end")  # others would clean up as if training were over

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with StopOnSignal() as stop, pytest.raises(Stopped):
        model.fit(
            numpy.zeros((8, 2)), numpy.zeros(8), batch_size=2, callbacks=[stop, Sender()], verbose=0
        )
    assert seen == [0, 1]
