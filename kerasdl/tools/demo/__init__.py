"""`kerasdl demo`: a page on this machine that predicts for the images that are dropped into it.

`answers` says what a prediction looks like and does not know the page, `page` is the page, `server`
starts and ends it. Gradio (the extra `demo`) is imported by `page` and `server` only.
"""
