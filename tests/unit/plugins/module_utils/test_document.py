# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment document: what is collected, how it reads, what must not be in it, how far a run is."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.document_markdown import duration, fenced, markdown
from ansible_collections.superpod.monitoring.plugins.module_utils.document_model import Collector
from ansible_collections.superpod.monitoring.plugins.module_utils.document_progress import Progress
from ansible_collections.superpod.monitoring.plugins.module_utils.document_secrets import (
    MASK,
    Masker,
    is_secret_name,
    secret_values,
)
from hypothesis import given
from hypothesis import strategies as st

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END PRIVATE KEY-----\n"


def plain(text: str) -> str:
    return text


def collected(check: bool = False, mask: t.Callable[[str], str] = plain, diff_lines: int = 50) -> Collector:
    """A run of two sections: a file changed on two hosts alike, on a third otherwise; then a failure."""
    made = Collector(check, mask, diff_lines)
    made.play("DGX nodes", 0.0)
    made.task("1", "Have the unit", "superpod.monitoring.dgx_exporters", "superpod.monitoring.managed_files", 0.0)
    diff = {"before": "", "after": "Port=9100\n", "before_header": "/etc/a", "after_header": "/etc/a"}
    for host, number in (("dgx-01", 1.0), ("dgx-02", 2.0)):
        made.result("1", host, "changed", {"changed": True, "diff": [diff], "changed_paths": ["/etc/a"]}, number)
    made.result("1", "dgx-03", "changed", {"changed": True, "diff": [{**diff, "after": "Port=9101\n"}]}, 3.0)
    made.task("2", "Nothing to do", "superpod.monitoring.dgx_exporters", "ansible.builtin.command", 3.0)
    made.result("2", "dgx-01", "ok", {"changed": False, "cmd": ["true"]}, 4.0)
    made.play("Prometheus servers", 5.0)
    made.task("3", "Reload", "", "ansible.builtin.command", 5.0)
    failure = {"changed": True, "cmd": ["promtool", "check"], "msg": "non-zero return code", "stderr": "bad `rule`"}
    made.result("3", "mon-01", "failed", failure, 7.0)
    made.end(8.0)
    return made


def test_hosts_with_the_same_outcome_stand_together() -> None:
    text = markdown(collected().document)
    assert "dgx-01, dgx-02: changed" in text
    assert text.count("+Port=9100") == 1
    assert "dgx-03: changed" in text
    assert "1 more tasks found everything as it should be" in text
    assert "| dgx-01 | 1 | 1 | 0 | 0 | 0 | 0 |" in text


def test_what_failed_is_said_at_the_top_and_in_its_place() -> None:
    text = markdown(collected().document)
    assert text.index("## What failed") < text.index("## 1. DGX nodes")
    assert "- **Reload** on mon-01: non-zero return code bad \\`rule\\`" in text
    assert "promtool check" in text
    assert "Mend what failed" in text


def test_check_mode_speaks_of_what_would_be() -> None:
    text = markdown(collected(check=True).document)
    assert text.startswith("# What would be done")
    assert "dgx-01, dgx-02: would change" in text
    assert "Run it again without `--check`" in text


def test_an_interrupted_run_says_so() -> None:
    made = Collector(False, plain, 10)
    made.play("One", 0.0)
    assert "has not ended" in markdown(made.document)
    assert "has not ended" not in markdown(collected().document)


def test_left_to_do_is_taken_in() -> None:
    document = collected().document
    document.by_hand = "# Left\n\nDo this.\n\n## Grafana\n\n```yaml\n# a comment\n```\n"
    text = markdown(document)
    assert "### Grafana" in text
    assert "\n# a comment\n" in text
    assert "# Left" not in text


def test_a_real_run_has_done_the_deploying() -> None:
    page = "# Left\n\n## Deploying\n\nRun it.\n\n## Grafana\n\nImport them.\n"
    for check in (True, False):
        document = collected(check=check).document
        document.by_hand = page
        assert ("Run it." in markdown(document)) is check
        assert "Import them." in markdown(document)


def test_ports_and_versions() -> None:
    made = collected()
    made.document.sections[1].settings["prometheus_server"] = {"prometheus_server_port": "9090"}
    assert "| prometheus_server | `prometheus_server_port` | 9090 |" in markdown(made.document)


def test_long_differences_are_cut() -> None:
    made = Collector(False, plain, 10)
    made.task("1", "Write", "", "copy", 0.0)
    made.result("1", "a", "changed", {"diff": {"before": "", "after": "line\n" * 100}}, 1.0)
    assert "... 93 more lines" in markdown(made.document)


def test_results_of_loops() -> None:
    made = Collector(False, plain, 10)
    made.task("1", "Run", "", "command", 0.0)
    items = [{"changed": True, "cmd": ["echo", "a"]}, {"changed": False, "cmd": ["echo", "b"]}]
    made.result("1", "a", "changed", {"changed": True, "results": items}, 1.0)
    made.task("2", "Fail", "", "command", 0.0)
    bad = [{"failed": True, "msg": "no disk"}, {"failed": False, "msg": "fine"}]
    made.result("2", "a", "failed", {"msg": "One or more items failed", "results": bad}, 1.0)
    text = markdown(made.document)
    assert "echo a" in text
    assert "echo b" not in text
    assert "no disk" in text


def test_attributes_as_a_difference() -> None:
    made = Collector(False, plain, 10)
    made.task("1", "Have a directory", "", "file", 0.0)
    made.result("1", "a", "changed", {"diff": {"before": {"state": "absent"}, "after": {"state": "directory"}}}, 1.0)
    assert "-state: absent\n+state: directory" in markdown(made.document)


def test_batches_of_hosts_are_one_task() -> None:
    made = Collector(False, plain, 10)
    made.play("DGX nodes", 0.0)
    for host, begin in (("a", 0.0), ("b", 10.0)):
        made.task("1", "Write", "", "copy", begin)
        made.result("1", host, "changed", {"changed": True}, begin + 2.0)
    [task] = made.document.sections[0].tasks
    assert (set(task.outcomes), task.seconds) == ({"a", "b"}, 4.0)


# --- Markdown ---


@given(st.text(max_size=60))
def test_a_fence_cannot_be_left(text: str) -> None:
    block = fenced(text, "")
    fence = block.split("\n", 1)[0]
    assert set(fence) == {"`"}
    assert fence not in text
    assert block.endswith(f"\n{fence}\n")


@given(st.text(max_size=40), st.text(max_size=40))
def test_foreign_text_makes_no_headings(name: str, message: str) -> None:
    made = Collector(False, plain, 10)
    made.play("One", 0.0)
    made.task("1", name, "", "copy", 0.0)
    made.result("1", "a", "failed", {"msg": message}, 1.0)
    outside = re.sub(r"^(`{3,}).*?^\1$", "", markdown(made.document), flags=re.MULTILINE | re.DOTALL)
    headings = [line for line in outside.splitlines() if line.startswith("#")]
    known = ["# What was done", "## Hosts", "## What failed", "## 1. One", "### Tasks"]
    assert headings[: len(known)] == known
    assert len(headings) == len(known) + 2  # the task's own, and what is left to do


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (7384, "2 h 3 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# --- secrets ---


@pytest.mark.parametrize(
    "name",
    ["password", "grafana_server_admin_password", "db_passwd", "api_key", "token", "client_secret", "secret_settings",
     "prometheus_server_web_users", "private_key"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["role_monitor_port", "password_file", "token_url", "cluster_name", "keep_data", "compass"]
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def test_values_are_found_inside() -> None:
    variables = {
        "grafana_server_admin_password": "first-secret",
        "users": [{"name": "joe", "password": "second-secret"}],
        "web_users": {"joe": "third-secret"},
        "role_monitor_private_key": "/etc/key.pem",
        "template_password": "{{ vault_password }}",
        "cluster_name": "slurm",
        "short_password": "abc",
    }
    assert secret_values(variables) == {"first-secret", "second-secret", "third-secret"}


class Encrypted:
    """Like Ansible's vault-encrypted texts."""

    _ciphertext = "$ANSIBLE_VAULT"

    def __str__(self) -> str:
        return "from the vault"


def test_vaulted_values_are_secret_by_any_name() -> None:
    assert secret_values({"anything": Encrypted()}) == {"from the vault"}


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (KEY, "MIIEvQIBADANBgkqhkiG9w0"),
        ("a\n+" + KEY.replace("\n", "\n+"), "BAQEFAASCBKcwggSjAgEAAo"),
        ("content: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t", "UFJJVkFURSBLRVk"),
        ("joe: $2y$10$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234", "abcdefghijkl"),
        ("http://admin:hunter22@mon-01:3000/x", "hunter22"),
        ("Authorization: Basic YWRtaW46aHVudGVyMjI=", "YWRtaW46"),
        ("+admin_password = hunter22", "hunter22"),
        ('{"password": "hun ter22", "port": 1}', "hun ter22"),
        ("ansible-playbook -e some_token=hunter22", "hunter22"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, gone: str) -> None:
    masked = Masker()(text)
    assert gone not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    ["password_file: /etc/grafana/password", "private_key: /etc/key.pem", "token: none", "no_log: true", "a: b",
     "password: {{ vault }}", "/var/lib/secrets/file"],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert Masker()(text) == text


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=4, max_size=12), min_size=1, max_size=4
    ),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_known_values_never_pass(values: list[str], before: str, after: str) -> None:
    mask = Masker()
    mask.add(values)
    for value in values:
        if MASK not in value and value not in MASK and len(value.strip()) >= 4:
            assert value not in mask(f"{before} {value} {after}").replace(MASK, "")


def test_secrets_go_nowhere_into_the_document() -> None:
    mask = Masker(["hunter22"])
    made = Collector(False, mask, 50)
    made.play("with hunter22", 0.0)
    made.task("1", "Task hunter22", "", "copy", 0.0)
    result = {
        "changed": True,
        "cmd": "echo hunter22",
        "msg": "hunter22",
        "stderr": "hunter22",
        "dest": "/tmp/hunter22",
        "warnings": ["hunter22"],
        "diff": {"before": "hunter22", "after": "x", "before_header": "hunter22"},
    }
    for host, status in (("a", "changed"), ("b", "failed"), ("c", "ignored"), ("d", "unreachable")):
        made.result("1", host, status, result, 1.0)  # type: ignore[arg-type]
    assert "hunter22" not in markdown(made.document)


# --- progress ---


def test_progress_by_the_last_runs_times() -> None:
    progress = Progress(["DGX nodes", "Prometheus servers"], {"DGX nodes": 60.0, "Prometheus servers": 30.0})
    progress.section(["a", "b"], 0.0)
    progress.task()
    progress.host("a")
    assert progress.line(20.0) == "[1/2] DGX nodes: 1 of 2 hosts done, 20 s so far, about 1 min 10 s left"
    progress.section(["c"], 100.0)
    assert progress.rest(110.0) == 20.0
    assert progress.rest(200.0) == 0.0
    progress.end(140.0)
    assert progress.taken == {"DGX nodes": 100.0, "Prometheus servers": 40.0}


def test_progress_of_a_first_run() -> None:
    progress = Progress(["DGX nodes"])
    progress.section(["a"], 0.0)
    assert progress.line(1.0).endswith("rest unknown, since this is the first run")


@given(st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=4), st.floats(0, 1000), st.integers(0, 6))
def test_the_rest_is_never_negative(sections: list[str], now: float, steps: int) -> None:
    progress = Progress(sections, {"x": 1.0, "y": 2.0})
    for _number in range(steps):
        progress.section(["a"], 0.0)
    rest = progress.rest(now)
    assert rest is None or rest >= 0
    assert progress.line(now)


def test_a_secret_that_looks_like_a_path_or_is_a_number_is_masked() -> None:
    variables = {"admin_password": "/9dK2xQ.w", "api_token": 48151623, "x_password": 123, "tokens": True}
    assert secret_values(variables) == {"/9dK2xQ.w", "48151623"}
    assert Masker()("password: /9dK2xQ.w") == f"password: {MASK}"
