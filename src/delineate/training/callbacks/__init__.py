"""What happens around a step: the clock, the averaged weights, the validation, the table, the checkpoint, the bar."""
