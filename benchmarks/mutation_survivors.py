"""Mutations of `mutation.py` that no test can notice, each with the reason."""

# Mutation -> why no test can notice it.
EQUIVALENT = {
    "audit: baseline in a row (tasks/segmentation.py)": (
        "equivalent: mean IoU and pixel accuracy of a matrix are those of its transpose"
    ),
    'runs/restore.py _read_best_record: {"epoch", "value"} <= set(record) -> '
    "({'epoch', 'value'} < set(record))": (
        "equivalent: the line before has read a third key, `sha256`"
    ),
    "metrics/images.py : 2**24 -> (2 * 24)": (
        "equivalent: the size of the parts bounds the memory and changes no sum"
    ),
    "metrics/colors/lab.py _shown: rgb <= 1 + 0.5 / 255 -> (rgb < 1 + 0.5 / 255)": (
        "equivalent but for a color that lies on the bound in float32 exactly"
    ),
    "tasks/scoring.py loss_per_image: numpy.ndim(y) == 1 -> (numpy.ndim(y) != 1)": (
        "equivalent: one loss per image is recognized by its shape; the condition saves time"
    ),
    "data/folder/mask_scan.py values_of: 256 -> 257": (
        "equivalent: the further count is 0, and only counts above 0 are used"
    ),
}
