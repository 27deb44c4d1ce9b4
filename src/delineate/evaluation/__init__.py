"""Predictions against truth: metrics, tables of scores, statistics, comparisons and reports."""
