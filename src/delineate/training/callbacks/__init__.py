"""Callbacks of training: clock, averaged weights (EMA), validation, metrics.csv, checkpoint and progress bar."""
