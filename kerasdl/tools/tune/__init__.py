"""Search for the best configuration on the validation split, with Optuna."""
