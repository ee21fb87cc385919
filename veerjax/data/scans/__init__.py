"""Scans of real logs, cut into windows whose truth is a given label, or drawn from a LAS file."""
