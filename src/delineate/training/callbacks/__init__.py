"""Callbacks of training: clock, averaged weights (EMA), validation, table, checkpoint and progress bar."""
