# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in: the database of summaries; only the table of summaries, without those of nodes and GPUs."""

from __future__ import annotations

from typing import Any

from config import EXTERNAL_DB_CONFIG


class JobstatsDBHandler:
    def get_external_connection(self) -> Any:
        try:
            import MySQLdb as client  # noqa: PLC0415 - what the real one uses; without a database neither is there
        except ImportError:
            import pymysql as client  # noqa: PLC0415

        return client.connect(
            database=EXTERNAL_DB_CONFIG["database"], read_default_file=EXTERNAL_DB_CONFIG["config_file"]
        )

    def save(self, cluster: str, job_id: int, stats: str) -> None:
        connection = self.get_external_connection()
        connection.cursor().execute(
            "REPLACE INTO job_summary (cluster, jobid, admin_comment) VALUES (%s, %s, %s)", (cluster, job_id, stats)
        )
        connection.commit()
