"""Scores with one stated definition each. Keras metrics measure while a model runs (`confusion`,
`psnr`, `ssim`); NumPy functions measure collected predictions (`classification`, `color`)."""
