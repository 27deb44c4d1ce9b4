"""The engines a network runs on, each one the only file that imports its library."""
