"""Files in and out: structures people bring, and records of reference calculations."""
