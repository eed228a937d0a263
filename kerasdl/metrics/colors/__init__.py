"""Colour science as pure functions: CIELAB and sRGB, Zhang's bins, and how a network's outputs
become a picture. Losses, metrics and tasks share it; it knows none of them.
"""
