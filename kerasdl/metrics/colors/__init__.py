"""Color science as pure functions: CIELAB and sRGB, Zhang's bins, and decoding a model's outputs.

Used by losses, metrics and tasks; depends on none of them.
"""
