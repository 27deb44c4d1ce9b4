"""What happens around a step: the clock, the averaged weights, the judge, the table, the checkpoint, the bar."""
