"""Looking at data without training: check, contact sheet, statistics, baselines."""
