#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for store_jobstats.py; see README.md."""

from __future__ import annotations

import argparse
import sys

from config import EXTERNAL_DB_CONFIG
from db_handler import JobstatsDBHandler

parser = argparse.ArgumentParser()
parser.add_argument("--cluster", required=True)
parser.add_argument("--jobid", required=True, type=int)
parser.add_argument("--stats", required=True)
options = parser.parse_args()
if not EXTERNAL_DB_CONFIG.get("enabled"):
    sys.exit("ERROR: External database is not enabled in config.py")
JobstatsDBHandler().save(options.cluster, options.jobid, options.stats)
