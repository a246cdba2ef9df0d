# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control machine's part of the module ``verify_host``: says what to look at, and judges what was seen."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_expectations import (
    UnknownKindError,
    complete,
    judge,
    wanted,
)

MODULE = "superpod.monitoring.verify_host"
DEPLOY = "ansible-playbook site.yml -i bcm_inventory.yml --tags {part} --limit {host}"


class ActionModule(ActionBase):
    """One execution on the host; contents and passwords that are only compared stay here."""

    _VALID_ARGS = frozenset(("part", "expected"))

    def run(self, tmp: None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return how many checks passed, the findings, and hints."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        part, expected = self._task.args.get("part"), self._task.args.get("expected")
        if not isinstance(part, str) or not isinstance(expected, dict):
            return result | {"failed": True, "msg": "verify_host needs part, a name, and expected, a dictionary."}
        try:
            expected = complete(expected)
            request = wanted(expected)
        except UnknownKindError as error:
            return result | {"failed": True, "msg": str(error)}
        before = time.time()
        executed: dict[str, t.Any] = self._execute_module(
            MODULE, module_args={"part": part, "look": request}, task_vars=task_vars
        )
        after = time.time()
        executed.pop("invocation", None)
        facts = executed.pop("facts", None)
        if not isinstance(facts, dict):
            return result | executed
        deploy = DEPLOY.format(part=part, host=variables.get("inventory_hostname", "HOST"))
        outcomes = judge({**expected, "clock": {"before": before, "after": after}}, facts, deploy)
        findings = [
            {key: value for key, value in outcome._asdict().items() if key not in ("ok", "hint")}
            for outcome in outcomes
            if not outcome.ok
        ]
        hints = [outcome.hint for outcome in outcomes if outcome.hint]
        passed = len(outcomes) - len(findings) - len(hints)  # what hints is no check
        return result | executed | {"part": part, "passed": passed, "findings": findings, "hints": hints}
