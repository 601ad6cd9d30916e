#!/usr/bin/env python3
"""Run Clearway from a checkout: `python launch.py replay drive.mp4 overlay.mp4`. All the work is in `pipeline.cli`."""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main())
