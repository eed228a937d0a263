"""Backends beside each other: do their outputs agree, and which is fastest.

The comparing process computes with no backend. It writes the inputs once, lets one process per
backend measure (`processes`, `measuring`), and compares what they leave (`differences`).
"""
