"""Faster training with the same results: replacements for slow code in Keras' layers.

Values change only by rounding, files do not change, and no layer is added: methods of single layers
are replaced for the lifetime of the process. docs/backends.md lists the speedups.
"""

import keras


def tune(model, record=True):
    """Tunes a compiled model with a built optimizer for training on this backend.

    Args:
        model: The model.
        record: Whether the training step may be recorded on a GPU with torch. A recording keeps
            what Python decided in the step, so a loss that counts epochs would stand still.
    """
    tune_for_inference(model)
    backend = keras.config.backend()
    if backend == "torch" and record:
        from kerasdl.backend.tuning import torch_capture

        torch_capture.capture(model)
    elif backend == "tensorflow":
        from kerasdl.backend.tuning import tensorflow_layers

        own = tensorflow_layers.CPU_CALLS if _on_cpu() else tensorflow_layers.CALLS
        exchange(model, own)


def tune_for_inference(model):
    """Tunes a model for prediction: what computes the same in another way. Returns the model.

    Its file stays the same, but it is no longer a model to export: layers have other calls.
    """
    backend = keras.config.backend()
    if backend == "torch":
        from kerasdl.backend.tuning import torch_graph, torch_layers

        torch_layers.arrange_kernels(model)
        exchange(model, torch_layers.CALLS)
        if "call" not in vars(model):
            model.call = torch_graph.forward(model, model.call)
    elif backend == "jax" and _on_cpu():
        from kerasdl.backend.tuning import jax_layers

        exchange(model, jax_layers.CALLS)
    return model


def exchange(model, calls):
    """Replaces the method `call` of layers, including those of nested models.

    Args:
        model: The model.
        calls: Mapping of a layer class to a function (layer, call) -> replacement for `call`.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            exchange(layer, calls)
        elif type(layer) in calls and "call" not in vars(layer):
            layer.call = calls[type(layer)](layer, layer.call)


def _on_cpu():
    if keras.config.backend() == "tensorflow":
        import tensorflow

        return not tensorflow.config.list_physical_devices("GPU")
    import jax

    return jax.default_backend() == "cpu"
