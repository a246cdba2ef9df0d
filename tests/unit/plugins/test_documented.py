# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules and roles say of check mode and differences is what their code does; their own tests show it."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.doc_fragments.attributes import ModuleDocFragment

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
PROMISED = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["attributes"]


def text(module: str, kind: str = "modules") -> str:
    path = ROOT / "plugins" / kind / f"{module}.py"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def support(module: str, attribute: str) -> str:
    found = re.search(r'DOCUMENTATION = r"""(.*?)"""', text(module), re.DOTALL)
    assert found
    own = yaml.safe_load(found[1])
    assert "superpod.monitoring.attributes" in own["extends_documentation_fragment"]
    return t.cast(str, {**PROMISED[attribute], **own.get("attributes", {}).get(attribute, {})}["support"])


@pytest.mark.parametrize("module", MODULES)
def test_every_module_runs_in_check_mode_and_says_so(module: str) -> None:
    assert support(module, "check_mode") == "full"
    assert "supports_check_mode=True" in text(module)


@pytest.mark.parametrize("module", MODULES)
def test_a_difference_is_returned_where_it_is_promised_and_nowhere_else(module: str) -> None:
    returned = any(re.search(r'"diff"|\bdiff=', text(module, kind)) for kind in ("modules", "action"))
    assert (support(module, "diff_mode") == "full") is returned


@pytest.mark.parametrize("role", ROLES)
def test_every_role_says_what_check_mode_does(role: str) -> None:
    specification = (ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    assert "check mode" in " ".join(yaml.safe_load(specification)["argument_specs"]["main"]["description"])
