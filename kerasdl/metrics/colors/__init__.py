"""Color science as pure functions: CIELAB and sRGB, Zhang's bins, and how a network's outputs
become an image. Losses, metrics and tasks share it; it knows none of them.
"""
