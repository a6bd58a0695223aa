"""Odd input, killed runs, full disks, long runs, packages known to be vulnerable."""
