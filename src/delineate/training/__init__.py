"""Recipe -> bundle. Lightning, devices and loggers live here and nowhere else."""
