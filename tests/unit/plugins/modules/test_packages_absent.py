# SPDX-License-Identifier: GPL-3.0-or-later
"""packages_absent on packages that are only said to be there: what goes along, what stays, and for whom."""

from __future__ import annotations

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules.packages_absent import Packages, run


class Host:
    """Packages with what they need, as dpkg and apt would say it. `left` are those with configuration files only."""

    def __init__(self, needs: dict[str, set[str]], manual: set[str], left: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.needs = needs
        self.manual = manual
        self.left = set(left)
        self.purged: list[str] = []
        self.busy = False

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        program, names = argv[0], set(argv[1:])
        if program == "dpkg-query":
            lines = [f"{name} installed" for name in sorted(names & set(self.needs))]
            lines += [f"{name} config-files" for name in sorted(names & self.left)]
            return (0 if lines else 1), "\n".join(lines), "" if lines else "no packages found"
        if program == "apt-mark":
            return 0, "\n".join(set(self.needs) - self.manual), ""
        if program == "apt-get":
            if self.busy:
                return 100, "", "E: dpkg was interrupted"
            gone = self._with_dependents(names & set(self.needs))
            gone |= self._unneeded(gone)
            return 0, "Reading package lists...\n" + "".join(f"Remv {name} [1.0]\n" for name in sorted(gone)), ""
        assert program == "dpkg"
        going = {name for name in names if not name.startswith("-")}
        stuck = {name for name in going if self._with_dependents({name}) - going}
        out = ""
        for name in sorted(going - stuck):
            if "--simulate" in argv:
                # dpkg tells the architecture of some
                out += f"Would remove or purge {name}{':amd64' if name == 'library' else ''} (1.0) ...\n"
                continue
            self.needs.pop(name, None)
            self.left.discard(name)
            if "--purge" in argv:
                self.purged.append(name)
            else:
                self.left.add(name)
        return (1, out, f"dpkg: dependency problems prevent removal of {stuck}") if stuck else (0, out, "")

    def _with_dependents(self, names: set[str]) -> set[str]:
        more = {name for name, needs in self.needs.items() if needs & names}
        return names if more <= names else self._with_dependents(names | more)

    def _unneeded(self, gone: set[str]) -> set[str]:
        wanted, found = self.manual - gone, set()
        while wanted - found:
            found |= wanted
            wanted = set().union(*(self.needs.get(name, set()) for name in found))
        return set(self.needs) - found - gone


def host() -> Host:
    needs = {"tool": {"library", "adduser"}, "library": {"font"}, "font": set(), "adduser": set(), "old-kernel": set()}
    return Host(needs, manual={"tool", "adduser"})


def test_what_came_along_goes_along_and_nothing_else() -> None:
    there = host()
    foretold = run(Packages(there, purge=True), ["tool", "never-there"], check_mode=True)
    assert "tool" in there.needs
    result = run(Packages(there, purge=True), ["tool", "never-there"], check_mode=False)
    assert result == foretold
    assert (result["changed"], result["removed"], result["kept"]) == (True, ["font", "library", "tool"], [])
    assert set(there.needs) == {"adduser", "old-kernel"}
    assert there.purged == ["font", "library", "tool"]
    assert not run(Packages(there, purge=True), ["tool"], check_mode=False)["changed"]


def test_what_another_package_needs_stays() -> None:
    there = host()
    there.needs["theirs"] = {"tool"}
    there.manual.add("theirs")
    foretold = run(Packages(there, purge=False), ["tool"], check_mode=True)
    result = run(Packages(there, purge=False), ["tool"], check_mode=False)
    assert result == foretold
    assert (result["changed"], result["removed"], result["kept"]) == (False, [], ["tool"])
    assert set(there.needs) == {"tool", "library", "font", "adduser", "old-kernel", "theirs"}


def test_configuration_goes_only_with_purge() -> None:
    there = host()
    run(Packages(there, purge=False), ["tool"], check_mode=False)
    assert there.left == {"tool", "library", "font"}
    assert not run(Packages(there, purge=False), ["tool"], check_mode=False)["changed"]
    assert run(Packages(there, purge=True), ["tool"], check_mode=False)["removed"] == ["tool"]
    assert "tool" not in there.left


def test_an_apt_that_does_not_work_is_said_in_its_words() -> None:
    there = host()
    there.busy = True
    with pytest.raises(
        Failure, match="'apt-get --simulate remove --auto-remove tool' does not work: E: dpkg was interr"
    ):
        run(Packages(there, purge=True), ["tool"], check_mode=False)
    assert "tool" in there.needs
