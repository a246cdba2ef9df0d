# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of certificates as the administrator manual shows it."""

from __future__ import annotations

from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_certificate import Listed, parse_list

LIST = """\
Serial Revoked  Time left    Profile          System log in    Name
------ -------- ------------ ---------------- ---------------- -----------------------------
1      No       5214w 1d     admin            root             Administrator
10     No       5214w 1d     node                              fa-16-3e-74-24-dc
23     Yes      4w 1d        readonly         peter            1 No 7
"""


def test_the_first_two_columns_of_the_rows_count() -> None:
    assert parse_list(LIST) == [Listed(1, False), Listed(10, False), Listed(23, True)]
    assert parse_list("") == []
