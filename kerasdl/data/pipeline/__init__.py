"""From samples to batches: reading, resizing, augmentation, look-ahead."""
