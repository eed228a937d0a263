"""Is this installation whole? Every backend is tried in a process of its own.

A finding is a mapping with `about`, `state` ("ok", "note" or "broken"), `text` and `fix`, which is
None where nothing can be done. The examining process imports no framework.
"""
