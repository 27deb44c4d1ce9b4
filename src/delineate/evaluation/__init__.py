"""Predictions against truth: tables of scores, statistics, comparisons and reports."""
