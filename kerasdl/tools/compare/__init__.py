"""Comparison of backends: do their outputs agree, and which is fastest.

The main process uses no backend. It writes the inputs once, runs one process per backend
(`processes`, `measuring`), and compares their results (`differences`).
"""
