# SPDX-License-Identifier: GPL-3.0-or-later
"""firewall_rules, with programs that keep rules in a file and print them as ufw and firewalld do."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.firewall_rules import Firewalld, Opening, Ufw
from ansible_collections.superpod.monitoring.plugins.modules import firewall_rules
from hypothesis import given
from hypothesis import strategies as st

SITES = ["allow 22/tcp", "allow from 10.9.0.1 to any port 9100 proto tcp"]
RICH = 'rule family="ipv4" source address="192.0.2.7" service name="ssh" accept'


class Host:
    """A host's firewalls, and what run() uses of AnsibleModule."""

    def __init__(self, *missing: str) -> None:
        self.ufw = list(SITES)
        self.rich = [RICH]
        self.ran: list[list[str]] = []
        self.missing = missing
        self.refusal = ""
        self.params: dict[str, t.Any] = {}
        self.check_mode = False

    def get_bin_path(self, name: str) -> str | None:
        return None if name in self.missing else name

    def run_command(self, argv: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
        assert environ_update == {"LC_ALL": "C"}
        if self.refusal:
            return 252, "", f"{self.refusal}\n"
        if argv == list(Ufw.LIST):
            return (
                0,
                "\n".join(
                    ["Added user rules (see 'ufw status' for running firewall):", *map(self._ufw_line, self.ufw)]
                ),
                "",
            )
        if argv == list(Firewalld.LIST):
            return 0, "\n".join(self.rich), ""
        self.ran.append(argv)
        if argv[0] == "ufw":
            self._change_ufw(argv[1:])
        elif argv[-1].startswith("--add-rich-rule="):
            self.rich.append(argv[-1].partition("=")[2])
        elif argv[-1].startswith("--remove-rich-rule="):
            self.rich.remove(argv[-1].partition("=")[2])
        return 0, "", ""

    @staticmethod
    def _ufw_line(rule: str) -> str:
        return f"ufw {rule}"

    def _change_ufw(self, words: list[str]) -> None:
        if words[0] == "delete":
            (gone,) = [rule for rule in self.ufw if rule.split(" comment ")[0] == " ".join(words[1:])]
            self.ufw.remove(gone)
        else:
            assert words[-2] == "comment"
            self.ufw.append(" ".join(words[:-1]) + f" '{words[-1]}'")

    def run(self, firewall: str, check_mode: bool = False, **params: t.Any) -> dict[str, t.Any]:
        options = {"name": "exporters", "ports": [9445, 9100], "sources": ["10.0.0.41"], "state": "present"}
        self.params = {"firewall": firewall, **options, **params}
        self.check_mode = check_mode
        self.ran = []
        return firewall_rules.run(t.cast(t.Any, self))


@pytest.fixture(autouse=True)
def own_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Firewalld, "service_path", str(tmp_path / "superpod-exporters.xml"))
    return tmp_path / "superpod-exporters.xml"


def test_ufw_lets_in_the_sources_and_nobody_else() -> None:
    host = Host()
    rules = [
        f"allow from {source} to any port 9100,9445 proto tcp comment 'superpod.monitoring exporters'"
        for source in ("10.0.0.41", "fd00::/64")
    ]
    would = host.run("ufw", check_mode=True, sources=["10.0.0.41", "fd00::1/64"])
    assert (host.ufw, host.ran) == (SITES, [])
    did = host.run("ufw", sources=["10.0.0.41", "fd00::1/64"])
    assert (
        would
        == did
        == {
            "changed": True,
            "added": rules,
            "removed": [],
            "diff": [{"before": "", "after": "".join(f"{rule}\n" for rule in rules)}],
        }
    )
    assert host.ufw == SITES + rules
    again = host.run("ufw", sources=["10.0.0.41", "fd00::/64"])
    assert (again["changed"], again["added"], again["removed"], host.ran) == (False, [], [], [])
    fewer = host.run("ufw")
    assert (fewer["added"], fewer["removed"], host.ufw) == ([], rules[1:], SITES + rules[:1])
    gone = host.run("ufw", state="absent", ports=[])
    assert (gone["changed"], gone["removed"], host.ufw) == (True, rules[:1], SITES)
    assert not host.run("ufw", state="absent")["changed"]


def test_a_new_rule_is_there_before_an_old_one_goes() -> None:
    host = Host()
    host.run("ufw")
    host.run("ufw", ports=[9100])
    assert [argv[1] for argv in host.ran] == ["allow", "delete"]


def test_a_rule_of_the_sites_that_does_the_same_is_enough_and_stays_theirs() -> None:
    host = Host()
    there = host.run("ufw", ports=[9100], sources=["10.9.0.1"])
    assert not there["changed"]
    host.run("ufw", state="absent")
    assert host.ufw == SITES


def test_firewalld_knows_our_service(own_services: Path) -> None:
    host = Host()
    rule = 'rule family="ipv4" source address="10.0.0.41" service name="superpod-exporters" accept'
    would = host.run("firewalld", check_mode=True)
    assert (host.rich, host.ran, own_services.exists()) == ([RICH], [], False)
    did = host.run("firewalld")
    assert would == did
    assert (did["changed"], did["added"], did["removed"]) == (True, [rule], [])
    assert own_services.read_text().count("<port ") == 2
    assert host.rich == [RICH, rule]
    assert host.ran[-1] == ["firewall-cmd", "--reload"]
    assert not host.run("firewalld")["changed"]
    assert host.ran == []
    other_port = host.run("firewalld", ports=[9200])
    assert (other_port["changed"], other_port["added"]) == (True, [])
    assert '+  <port protocol="tcp" port="9200"/>' not in own_services.read_text()
    assert other_port["diff"][0]["before"] != other_port["diff"][0]["after"] == own_services.read_text()
    assert host.ran == [["firewall-cmd", "--reload"]]
    assert host.run("firewalld", state="absent")["removed"] == [rule]
    assert (host.rich, own_services.exists()) == ([RICH], False)
    assert not host.run("firewalld", state="absent")["changed"]


def test_without_sources_everybody_is_let_in() -> None:
    opening = Opening.of("grafana", [3000], [])
    assert Ufw("grafana").wanted(opening) == ["allow 3000/tcp comment 'superpod.monitoring grafana'"]
    assert Firewalld("grafana").wanted(opening) == ['rule service name="superpod-grafana" accept']


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"sources": ["mon-01"]}, "'mon-01' in sources is neither an address nor a network"),
        ({"ports": []}, "ports is empty"),
        ({"name": "a'b"}, "must be lower-case letters"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(params: dict[str, t.Any], says: str) -> None:
    host = Host("ufw", "firewall-cmd")
    with pytest.raises(Failure, match=says):
        host.run("ufw", **params)


def test_a_firewall_that_is_missing_or_refuses_is_named() -> None:
    with pytest.raises(Failure, match="This host has no firewall-cmd; install firewalld"):
        Host("firewall-cmd").run("firewalld")
    host = Host()
    host.refusal = "FirewallD is not running"
    with pytest.raises(Failure, match="firewall-cmd --permanent --list-rich-rules says: FirewallD is not running"):
        host.run("firewalld")


@given(
    st.sets(st.integers(1, 65535), min_size=1, max_size=15),
    st.lists(st.ip_addresses().map(str), unique=True, max_size=5),
    st.sampled_from([Ufw, Firewalld]),
)
def test_what_was_added_is_found_again_and_nothing_else(
    ports: set[int], sources: list[str], kind: type[Ufw] | type[Firewalld]
) -> None:
    opening = Opening.of("exporters", ports, sources)
    ours, theirs = kind("exporters"), kind("grafana")
    prefix = "ufw " if kind is Ufw else ""
    listing = "".join(f"{prefix}{rule}\n" for rule in ours.wanted(opening) + theirs.wanted(opening))
    assert ours.found(listing) == ours.wanted(opening)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_what_is_no_port_is_refused_before_a_service_has_it(port: int, own_services: Path) -> None:
    with pytest.raises(Failure, match=f"{port} in ports is no port"):
        Host().run("firewalld", ports=[9100, port])
    assert not own_services.exists()


def test_a_rule_of_the_sites_keeps_its_own_comment() -> None:
    host = Host()
    host.ufw.append("allow from 10.0.0.41 to any port 9100,9445 proto tcp comment 'scraping, see ticket 7'")
    before = list(host.ufw)
    assert not host.run("ufw")["changed"]
    assert not host.run("ufw", state="absent")["changed"]
    assert host.ufw == before
