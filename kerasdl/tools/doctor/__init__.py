"""Checks this installation; every backend is tried in its own process.

A finding is a mapping with `about`, `state` ("ok", "note" or "broken"), `text` and `fix`, which is
None if nothing can be done. The main process imports no framework.
"""
