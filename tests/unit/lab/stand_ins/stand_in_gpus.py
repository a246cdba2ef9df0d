# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that the captures of the real exporters show, in the place of NVML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nvml import GPM_METRICS, Device


@dataclass
class Gpu:
    device: Device
    bus: str = ""
    util: int = 0
    memory: tuple[int, int, int] = (0, 0, 0)
    milliwatts: int = 0
    temperature: int = 0
    reasons: int = 1
    slices: list[tuple[Device, tuple[int, int, int]]] = field(default_factory=list)


class FakeNvml:
    """As stand_ins/nvml.py's Nvml, with the GPUs of a list."""

    def __init__(self, gpus: list[Gpu]) -> None:
        self.gpus = gpus

    def of(self, device: Device) -> Gpu:
        return self.gpus[device.ordinal]

    def driver(self) -> str:
        return "570.86.15"

    def count(self) -> int:
        return len(self.gpus)

    def device(self, ordinal: int) -> Device:
        return self.gpus[ordinal].device

    def mig_enabled(self, gpu: Device) -> bool:
        return bool(self.of(gpu).slices)

    def slices(self, gpu: Device) -> Iterator[Device]:
        return (device for device, _ in self.of(gpu).slices)

    def bus_id(self, gpu: Device) -> str:
        return self.of(gpu).bus

    def memory(self, device: Device) -> tuple[int, int, int]:
        slices = {part.uuid: memory for part, memory in self.of(device).slices}
        return slices.get(device.uuid, self.of(device).memory)

    def utilization(self, device: Device) -> tuple[int, int] | None:
        return None if self.mig_enabled(device) else (self.of(device).util, 0)

    def power(self, gpu: Device) -> int:
        return self.of(gpu).milliwatts

    def temperature(self, gpu: Device) -> int:
        return self.of(gpu).temperature

    def fan_speed(self, gpu: Device) -> int | None:
        return None

    def clock(self, gpu: Device, kind: str) -> int:
        return {"graphics": 1000, "sm": 1100, "mem": 1200, "video": 1300}[kind]

    def clock_event_reasons(self, gpu: Device) -> int:
        return self.of(gpu).reasons

    def ecc_errors(self, gpu: Device, error: int, counter: int) -> int:
        return 0

    def gpm_supported(self, device: Device) -> bool:
        return True

    def gpm_sample(self, device: Device) -> str:
        return device.uuid

    def gpm_free(self, sample: str) -> None:
        pass

    def gpm_metrics(self, earlier: str, later: str) -> dict[str, float]:
        assert earlier == later, "two samples of different devices"
        return {name: 10.0 + place for place, name in enumerate(GPM_METRICS)}


NAME = "NVIDIA H200"
TOTAL = 150754820096
SLICE = (18790481920, 0, 1234567168)


def as_in_gpu_captures(mig: bool) -> FakeNvml:
    """Two GPUs: ordinal 0 is minor 1 and busy."""
    busy = Device(None, 0, 1, "GPU-aaaaaaaa-0000-0000-0000-000000000000", NAME)  # type: ignore[arg-type]
    idle = Device(None, 1, 0, "GPU-bbbbbbbb-1111-1111-1111-111111111111", NAME)  # type: ignore[arg-type]
    slices = [
        (Device(None, 1, 0, uuid, f"{NAME} MIG 1g.18gb", instance), SLICE)  # type: ignore[arg-type]
        for instance, uuid in (
            (9, "MIG-cccccccc-2222-2222-2222-222222222222"),
            (10, "MIG-dddddddd-3333-3333-3333-333333333333"),
        )
    ]
    return FakeNvml(
        [
            Gpu(busy, "", 87, (TOTAL, 0, 40000000000), 412345, 61, reasons=4),
            Gpu(idle, "", 0, (TOTAL, 0, 1234567168), 78901, 33, slices=slices if mig else []),
        ]
    )


def as_in_dcgm_captures() -> FakeNvml:
    """Three GPUs, of which 2 shows one MIG slice."""
    gpus = []
    for ordinal in range(3):
        uuid = f"GPU-{ordinal}0000000-0000-0000-0000-000000000000"
        device = Device(None, ordinal, ordinal, uuid, NAME)  # type: ignore[arg-type]
        gpus.append(Gpu(device, f"00000000:{ordinal + 1}8:00.0", 87 if not ordinal else 0, (TOTAL, TOTAL, 0), 412345))
    part = Device(None, 2, 2, "MIG-x", f"{NAME} MIG 1g.18gb", 9)  # type: ignore[arg-type]
    gpus[2].slices.append((part, SLICE))
    return FakeNvml(gpus)
