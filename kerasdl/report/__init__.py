"""Figures, tables, HTML pages and model cards, made from files and arrays.

It computes no scores and imports no Keras. `tables` is light; `figures` and `html` import
matplotlib, so the command line imports them only where they are needed.
"""
