"""Whole numbers in few bits, exactly and the same on every machine."""
