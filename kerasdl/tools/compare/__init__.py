"""Backends and runs beside each other: does every backend answer alike, and which is fastest.

The comparing process computes with no backend. It writes the inputs once, lets one process per
backend measure (`worker`, `measuring`), and compares what they leave (`differences`).
"""
