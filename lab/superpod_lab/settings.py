# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lab this is: names and places that keep labs on one machine apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
# The environment of every process that `superpod up` starts holds it, hosts excepted: `down` finds what a crash left.
MARK = "SUPERPOD_LAB"


class LabError(Exception):
    """What went wrong and what to change, in one sentence; `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Settings:
    """One lab: its number, the root file system its hosts share, and where its files lie."""

    lab_id: int
    image: Path
    data: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """From LAB_ID (0 to 99), LAB_IMAGE and LAB_DATA."""
        text = environment.get("LAB_ID") or "0"
        if not text.isascii() or not text.isdigit() or int(text) > 99:
            raise LabError(f"LAB_ID={text}: the number of a lab is 0 to 99.", 2)
        number = int(text)
        image = Path(environment.get("LAB_IMAGE") or "/var/tmp/labhosts/image")
        data = Path(environment.get("LAB_DATA") or f"/var/tmp/labhosts/{number}")
        for name, path in (("LAB_IMAGE", image), ("LAB_DATA", data)):
            if not path.is_absolute() or path == Path("/"):
                raise LabError(f"{name}={path}: give an absolute path.", 2)
        return cls(number, image, data)

    @property
    def net(self) -> str:
        """The first three numbers of the lab's /24."""
        return f"10.77.{self.lab_id}"

    @property
    def bridge(self) -> str:
        return f"lab{self.lab_id}"

    @property
    def state(self) -> Path:
        return Path(f"/run/labhosts/{self.lab_id}")

    @property
    def shared(self) -> Path:
        """What every host sees as /cm/shared."""
        return self.data / "shared"

    @property
    def bcm(self) -> Path:
        """What the head nodes share: the state of the BCM simulator."""
        return self.data / "bcm"

    @property
    def files(self) -> Path:
        """What is put into the hosts before their first boot, a directory for each host."""
        return self.data / "files"

    @property
    def ssh_key(self) -> Path:
        return self.data / "ssh" / "id_ed25519"

    @property
    def record(self) -> Path:
        """What `superpod info` prints; there once the lab is up."""
        return self.data / "lab.json"

    def environment(self) -> dict[str, str]:
        """What labhost needs to know of this lab, for a process's environment."""
        return {
            "LAB_IMAGE": str(self.image),
            "LAB_DATA": str(self.data),
            "LAB_STATE": str(self.state),
            "LAB_BRIDGE": self.bridge,
            "LAB_NET": self.net,
        }
