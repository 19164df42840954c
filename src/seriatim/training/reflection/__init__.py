"""Reflection-Tuning's data: typed segments, who makes them, who verifies them."""
