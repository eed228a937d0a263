"""The embedded data set: scenes drawn from a seed."""
