"""The same optimizer step in fewer passes over the weights.

The step is bound by memory bandwidth. With momentum and weight decay Keras' formulas read or write
all weights 11 times on torch and 15 times on TensorFlow, these functions 5 (7 with Nesterov
momentum) and 8 (10) times.
"""


def torch_momentum(gradients, variables, momenta, rate, momentum, decays, nesterov):
    """m = momentum m - rate (g + decay v); v = v + m, or v + momentum m - rate (g + decay v).

    Args:
        gradients, variables, momenta: Lists of tensors; variables and momenta are changed.
        rate: The learning rate, a number or a tensor of one.
        momentum: Above 0.
        decays: List of numbers, one per variable.
        nesterov: Whether to use Nesterov momentum, the second formula for v.

    Returns:
        Whether the update was applied. It is not on a GPU, where reading the rate would wait for
        the previous step, for tensors other than float32, or under `torch.compile`, which fuses
        Keras' formulas itself; nothing is changed then.
    """
    import torch

    if torch.compiler.is_compiling():
        return False
    tensors = (*gradients, *variables, *momenta)
    if any(each.device.type != "cpu" or each.dtype != torch.float32 for each in tensors):
        return False
    # Elementwise: any memory layout will do if it is the same for all three.
    dense = torch.ops.aten.is_non_overlapping_and_dense
    for variable, slot in zip(variables, momenta, strict=True):
        if not dense(variable) or slot.stride() != variable.stride():
            return False
    gradients = [
        gradient
        if gradient.stride() == variable.stride()
        else torch.empty_like(variable).copy_(gradient)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]
    rate = float(rate)
    if nesterov:
        gradients = torch._foreach_mul(gradients, -rate)
    for decay in set(decays):
        chosen = [number for number, each in enumerate(decays) if each == decay]
        # PyTorch multiplies by the rate when it moves v, Keras when it changes m. So the rate goes
        # into the gradient, where possible as 1 - dampening (which is exact to 1e-16, far below any
        # rate that moves a weight), and v moves by all of m.
        torch._fused_sgd_(
            [_flat(variables[number]) for number in chosen],
            [_flat(gradients[number]) for number in chosen],
            [_flat(momenta[number]) for number in chosen],
            weight_decay=-rate * decay if nesterov else decay,
            momentum=momentum,
            lr=-1.0,
            dampening=0.0 if nesterov else 1.0 + rate,
            nesterov=nesterov,
            maximize=False,
            is_first_step=False,
        )
    return True


def on_gpu(tensors):
    """Whether PyTorch computes with these tensors on a GPU."""
    return tensors[0].is_cuda


def torch_update(gradients, variables, momenta, rate, momentum, decays, nesterov):
    """The same without reading the rate, which stays on the device; also without momentum.

    Args:
        gradients, variables, momenta, momentum, decays, nesterov: As above; momenta is None without
            momentum.
        rate: The learning rate, a tensor of one.
    """
    import torch

    steps = torch._foreach_mul(torch_decayed(gradients, variables, decays), rate)
    if momenta is None:
        torch._foreach_sub_(variables, steps)
        return
    torch._foreach_mul_(momenta, momentum)
    torch._foreach_sub_(momenta, steps)
    if nesterov:
        torch._foreach_add_(variables, momenta, alpha=momentum)
        torch._foreach_sub_(variables, steps)
    else:
        torch._foreach_add_(variables, momenta)


def torch_decayed(gradients, variables, decays):
    """g + decay v for each variable, in one call.

    Args:
        gradients, variables: Lists of tensors.
        decays: List of numbers, one per variable; those that are not 0 are equal.

    Returns:
        List of tensors.
    """
    import torch

    places = [place for place, decay in enumerate(decays) if decay]
    if not places:
        return gradients
    decayed = torch._foreach_add(
        [gradients[place] for place in places],
        [variables[place] for place in places],
        alpha=decays[places[0]],
    )
    gradients = list(gradients)
    for place, gradient in zip(places, decayed, strict=True):
        gradients[place] = gradient
    return gradients


def _flat(tensor):
    """The elements in memory order; PyTorch's operation copies any other layout."""
    return tensor.as_strided((tensor.numel(),), (1,))


def tensorflow_momentum(gradient, variable, momenta, rate, momentum, decay, nesterov):
    """The same for one variable on TensorFlow.

    Args:
        gradient: A tensor.
        variable, momenta: Variables of TensorFlow, which are changed.
        rate: The learning rate, a number or a tensor of one.
        momentum: Above 0.
        decay: A number.
        nesterov: As above.

    Returns:
        Whether the update was applied. Not for variables of several replicas; nothing is changed
        then.
    """
    import tensorflow

    replicas = tensorflow.distribute.DistributedValues
    if (
        any(isinstance(each, replicas) for each in (variable, momenta))
        or not isinstance(gradient, tensorflow.Tensor)
        or gradient.dtype != variable.dtype
    ):
        return False
    rate = tensorflow.cast(rate, variable.dtype)
    if decay and (nesterov or momentum < 1e-6):  # the decay would be divided by it
        gradient += decay * variable
    elif decay:
        # momentum (m - rate decay / momentum v) - rate g = momentum m - rate (g + decay v)
        tensorflow.raw_ops.ResourceApplyGradientDescent(
            var=momenta.handle, alpha=rate * (decay / momentum), delta=variable
        )
    tensorflow.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=momenta.handle,
        lr=rate,
        grad=gradient,
        momentum=momentum,
        use_nesterov=nesterov,
    )
    return True
