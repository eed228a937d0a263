"""What each score means, in one sentence; stored beside its value."""

DEFINITIONS = {
    "loss": "mean over the split of the training loss, without weight decay and class weights",
    "accuracy": "share of images whose class has the largest logit",
    "top5_accuracy": "share of images whose class is among the five largest logits",
    "calibration_error": (
        "expected calibration error: mean gap between confidence and accuracy over 15 bins of "
        "equal width, weighted by their samples (Guo et al. 2017); 0 is best"
    ),
    "mean_iou": (
        "mean intersection over union from one confusion matrix over the whole split, over the "
        "classes that occur in truth or prediction; ignored labels are left out"
    ),
    "iou": (
        "intersection over union of one class over the whole split; not a number if the class "
        "occurs in neither truth nor prediction"
    ),
    "pixel_accuracy": "share of the pixels not ignored whose class has the largest logit",
    "psnr": (
        "peak signal-to-noise ratio in dB, RGB in [0, 1], one mean squared error per image "
        "(at least 1e-10, so at most 100 dB), mean over images"
    ),
    "ssim": (
        "structural similarity (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, K1 0.01, "
        "K2 0.03, mean over the RGB channels and the places where the window fits, then over "
        "images"
    ),
    "chroma_error": (
        "distance in the ab plane of CIELAB (D65), mean over pixels, then images; 0 is best"
    ),
    "ab_error": (
        "mean absolute error of a and b in CIELAB (D65), mean over pixels and the two, then "
        "images; 0 is best"
    ),
    "out_of_gamut": (
        "share of the pixels whose predicted RGB lies outside [0, 1] by more than half a step of 8 "
        "bits and was clipped before scoring"
    ),
    "delta_e": "CIEDE2000 color difference, mean over pixels, then images; 0 is best",
    "colorfulness_ratio": (
        "mean colorfulness (Hasler and Suesstrunk 2003) of the predictions divided by that of "
        "the truth; 1 is as colorful as the truth, 0 is gray"
    ),
}


def definition(score):
    """Definition of a score by its full name, such as "iou/sky"; None if it has none."""
    return DEFINITIONS.get(score.partition("/")[0])
