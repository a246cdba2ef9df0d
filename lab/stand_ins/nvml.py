# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of NVML (libnvidia-ml.so.1) that the stand-ins for GPU exporters read, through ctypes.

Constants, structures and calls are those of NVML's public interface.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

SUCCESS, NOT_SUPPORTED, NOT_FOUND = 0, 3, 6
TEMPERATURE_GPU = 0
CLOCKS = {"graphics": 0, "sm": 1, "mem": 2, "video": 3}
# numbers of NVML's GPM metrics
GPM_METRICS = {
    "graphics_util": 1,
    "sm_util": 2,
    "sm_occupancy": 3,
    "integer_util": 4,
    "any_tensor_util": 5,
    "dram_bw_util": 10,
    "fp64_util": 11,
    "fp32_util": 12,
    "fp16_util": 13,
    "pcie_tx_per_sec": 20,
    "pcie_rx_per_sec": 21,
    "nvlink_total_rx_per_sec": 60,
    "nvlink_total_tx_per_sec": 61,
}
LIBRARY_NOT_FOUND = "ERROR_LIBRARY_NOT_FOUND"


class NvmlError(Exception):
    """A call that NVML refused: its number and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class _Pci(ctypes.Structure):
    _fields_ = [("legacy", ctypes.c_char * 16), ("numbers", ctypes.c_uint * 5), ("bus_id", ctypes.c_char * 32)]


class _GpmSupport(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint), ("supported", ctypes.c_uint)]


class _GpmMetric(ctypes.Structure):
    _fields_ = [
        ("metric", ctypes.c_uint),
        ("code", ctypes.c_int),
        ("value", ctypes.c_double),
        ("names", ctypes.c_char_p * 3),
    ]


class _GpmMetricsGet(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_uint),
        ("count", ctypes.c_uint),
        ("sample1", ctypes.c_void_p),
        ("sample2", ctypes.c_void_p),
        ("metrics", _GpmMetric * 512),  # more than any NVML writes
    ]


@dataclass(frozen=True)
class Device:
    """A GPU, or a MIG slice of one: then `instance` is its GPU instance's number. `ordinal`, `minor` are the GPU's."""

    handle: ctypes.c_void_p
    ordinal: int
    minor: int
    uuid: str
    name: str
    instance: int | None = None


class Nvml:
    """The library, started; raises NvmlError."""

    def __init__(self) -> None:
        try:
            self.library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            raise NvmlError(12, LIBRARY_NOT_FOUND) from None
        self.library.nvmlErrorString.restype = ctypes.c_char_p
        self._call("nvmlInit_v2")

    def driver(self) -> str:
        return self._text("nvmlSystemGetDriverVersion")

    def count(self) -> int:
        return self._number("nvmlDeviceGetCount_v2")

    def device(self, ordinal: int) -> Device:
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(ordinal), ctypes.byref(handle))
        return Device(
            handle,
            ordinal,
            self._number("nvmlDeviceGetMinorNumber", handle),
            self._text("nvmlDeviceGetUUID", handle),
            self._text("nvmlDeviceGetName", handle),
        )

    def mig_enabled(self, gpu: Device) -> bool:
        now, pending = ctypes.c_uint(), ctypes.c_uint()
        try:
            self._call("nvmlDeviceGetMigMode", gpu.handle, ctypes.byref(now), ctypes.byref(pending))
        except NvmlError as error:
            if error.code == NOT_SUPPORTED:
                return False
            raise
        return now.value == 1

    def slices(self, gpu: Device) -> Iterator[Device]:
        """The MIG devices of a GPU in MIG mode."""
        for index in range(self._number("nvmlDeviceGetMaxMigDeviceCount", gpu.handle)):
            handle = ctypes.c_void_p()
            try:
                self._call(
                    "nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, ctypes.c_uint(index), ctypes.byref(handle)
                )
            except NvmlError as error:
                if error.code == NOT_FOUND:
                    continue
                raise
            yield Device(
                handle,
                gpu.ordinal,
                gpu.minor,
                self._text("nvmlDeviceGetUUID", handle),
                self._text("nvmlDeviceGetName", handle),
                self._number("nvmlDeviceGetGpuInstanceId", handle),
            )

    def bus_id(self, gpu: Device) -> str:
        pci = _Pci()
        self._call("nvmlDeviceGetPciInfo_v3", gpu.handle, ctypes.byref(pci))
        return str(pci.bus_id.decode())

    def memory(self, device: Device) -> tuple[int, int, int]:
        """Total, free and used memory in bytes."""
        memory = _Memory()
        self._call("nvmlDeviceGetMemoryInfo", device.handle, ctypes.byref(memory))
        return memory.total, memory.free, memory.used

    def utilization(self, device: Device) -> tuple[int, int] | None:
        """Percent of time that the GPU and its memory were busy; None in MIG mode."""
        use = _Utilization()
        try:
            self._call("nvmlDeviceGetUtilizationRates", device.handle, ctypes.byref(use))
        except NvmlError as error:
            if error.code == NOT_SUPPORTED:
                return None
            raise
        return use.gpu, use.memory

    def power(self, gpu: Device) -> int:
        """Milliwatts."""
        return self._number("nvmlDeviceGetPowerUsage", gpu.handle)

    def temperature(self, gpu: Device) -> int:
        return self._number("nvmlDeviceGetTemperature", gpu.handle, TEMPERATURE_GPU)

    def fan_speed(self, gpu: Device) -> int | None:
        return self._maybe("nvmlDeviceGetFanSpeed", gpu.handle)

    def clock(self, gpu: Device, kind: str) -> int | None:
        return self._maybe("nvmlDeviceGetClockInfo", gpu.handle, CLOCKS[kind])

    def clock_event_reasons(self, gpu: Device) -> int | None:
        bits = ctypes.c_ulonglong()
        try:
            self._call("nvmlDeviceGetCurrentClocksEventReasons", gpu.handle, ctypes.byref(bits))
        except NvmlError:
            return None
        return bits.value

    def ecc_errors(self, gpu: Device, error: int, counter: int) -> int | None:
        """`error`: 0 corrected, 1 uncorrected; `counter`: 0 volatile, 1 aggregate."""
        number = ctypes.c_ulonglong()
        try:
            self._call("nvmlDeviceGetTotalEccErrors", gpu.handle, error, counter, ctypes.byref(number))
        except NvmlError:
            return None
        return number.value

    def gpm_supported(self, device: Device) -> bool:
        support = _GpmSupport(version=1)
        try:
            self._call("nvmlGpmQueryDeviceSupport", device.handle, ctypes.byref(support))
        except NvmlError:
            return False
        return support.supported == 1

    def gpm_sample(self, device: Device) -> ctypes.c_void_p:
        """A new sample of a device, to be given to gpm_metrics and then to gpm_free."""
        sample = ctypes.c_void_p()
        self._call("nvmlGpmSampleAlloc", ctypes.byref(sample))
        self._call("nvmlGpmSampleGet", device.handle, sample)
        return sample

    def gpm_free(self, sample: ctypes.c_void_p) -> None:
        self._call("nvmlGpmSampleFree", sample)

    def gpm_metrics(self, earlier: ctypes.c_void_p, later: ctypes.c_void_p) -> dict[str, float]:
        """What happened between two samples, in NVML's units: percent, MiB per second."""
        asked = _GpmMetricsGet(version=1, count=len(GPM_METRICS), sample1=earlier, sample2=later)
        for place, number in enumerate(GPM_METRICS.values()):
            asked.metrics[place].metric = number
        self._call("nvmlGpmMetricsGet", ctypes.byref(asked))
        return {name: float(asked.metrics[place].value) for place, name in enumerate(GPM_METRICS)}

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self.library, name)(*arguments)
        if code != SUCCESS:
            raise NvmlError(code, self.library.nvmlErrorString(code).decode())

    def _text(self, name: str, *arguments: object) -> str:
        buffer = ctypes.create_string_buffer(96)
        self._call(name, *arguments, buffer, ctypes.c_uint(len(buffer)))
        return buffer.value.decode()

    def _number(self, name: str, *arguments: object) -> int:
        number = ctypes.c_uint()
        self._call(name, *arguments, ctypes.byref(number))
        return number.value

    def _maybe(self, name: str, *arguments: object) -> int | None:
        try:
            return self._number(name, *arguments)
        except NvmlError:
            return None
