"""Prints as fast as it can."""

import os

while True:
    os.write(1, b"0123456789abcdef" * 256 + b"\n")
