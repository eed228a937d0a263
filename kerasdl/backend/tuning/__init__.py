"""The same training, faster: what Keras' layers do slowly on a backend, done otherwise.

No value changes but by rounding, no file changes, and nothing is added to the network: methods of
single layers are exchanged for the time of the process. docs/backends.md has what each is worth.
"""

import keras


def tune(model):
    """Prepares a compiled model, whose optimizer is built, for training on this backend."""
    backend = keras.config.backend()
    if backend == "torch":
        from kerasdl.backend.tuning import torch_graph, torch_layers

        torch_layers.arrange_kernels(model)
        exchange(model, torch_layers.CALLS)
        if "call" not in vars(model):
            model.call = torch_graph.forward(model, model.call)
    elif backend == "tensorflow":
        from kerasdl.backend.tuning import tensorflow_layers

        own = tensorflow_layers.CALLS_ON_PROCESSORS if _on_processors() else tensorflow_layers.CALLS
        exchange(model, own)
    elif backend == "jax" and _on_processors():
        from kerasdl.backend.tuning import jax_layers

        exchange(model, jax_layers.CALLS)


def exchange(model, calls):
    """Gives layers, those of networks within too, another method `call`.

    Args:
        model: The network.
        calls: Mapping of a class of layers to a function that takes a layer and its method and
            returns the method that takes its place.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            exchange(layer, calls)
        elif type(layer) in calls and "call" not in vars(layer):
            layer.call = calls[type(layer)](layer, layer.call)


def _on_processors():
    if keras.config.backend() == "tensorflow":
        import tensorflow

        return not tensorflow.config.list_physical_devices("GPU")
    import jax

    return jax.default_backend() == "cpu"
