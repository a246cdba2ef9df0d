# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of certificates as the administrator manual shows it."""

from __future__ import annotations

from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_certificate import (
    Listed,
    parse_holders,
    parse_list,
)

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


def test_who_has_a_profile_whose_name_is_cut_off_too() -> None:
    assert parse_holders(LIST, "node") == {"fa-16-3e-74-24-dc": [10]}
    assert parse_holders(LIST, "readonly") == {}  # revoked
    more = "31     No       52w 0d       superpod-role-mo                  role-monitor\n"
    assert parse_holders(LIST + more, "superpod-role-monitor") == {"role-monitor": [31]}
    assert parse_holders(LIST + more, "superpod-other") == {}
    assert parse_holders("", "node") == {}
