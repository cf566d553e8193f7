"""Labels of published measurements find their chip, and only theirs."""

from __future__ import annotations

import pytest

from eke.catalog import chip_labels as labels
from eke.catalog.chips import chip, chip_names
from eke.catalog.fleets import fleet
from eke.errors import UnknownChip

MEANT = {
    "H100-SXM-80GB": "h100-sxm",
    "NVIDIA H100 80GB HBM3": "h100-sxm",
    "H100": "h100-sxm",
    "h100sxm5": "h100-sxm",
    "8xH100": "h100-sxm",
    "Virtualized-NVIDIA-H100-SXM-80GB": "h100-sxm",
    "H100-SXM5-94GB": "h100-sxm-94",
    "NVIDIA H100 PCIe": "h100-pcie",
    "NVIDIA H100 NVL": "h100-nvl",
    "A100 (memory not stated)": "a100-sxm-80",
    "A100-SXM (DGX-A100)": "a100-sxm-80",
    "NVIDIA A100-SXM4-80GB": "a100-sxm-80",
    "A100 40GB": "a100-sxm-40",
    "NVIDIA A100-SXM4-40GB": "a100-sxm-40",
    "A100-PCIe-40GB": "a100-pcie-40",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80",
    "A100-PCIe": "a100-pcie-80",
    "Virtualized-NVIDIA-H200-SXM-141GB": "h200-sxm",
    "H200-SXM-141GB-CTS": "h200-sxm",
    "H200-NVL-141GB": "h200-nvl",
    "H20": "h20",
    "H20 141GB": "h20-141",
    "NVIDIA GH200 480GB": "gh200-96",
    "NVIDIA GH200 144GB HBM3e": "gh200-144",
    "GB200 NVL72": "gb200",
    "GB200-192GB": "gb200",
    "V100 (memory not stated)": "v100-sxm2-32",
    "V100-SXM3-32GB (DGX-2H)": "v100-sxm3-32",
    "V100-PCIE-16GB": "v100-pcie-16",
    "NVIDIA L40S-PCIe-48GB": "l40s",
    "4090-24GB": "rtx-4090",
    "GeForce-RTX-4090": "rtx-4090",
    "RTX 4090 48GB": "rtx-4090",
    "RTX 4090 Laptop GPU": "rtx-4090-laptop",
    "RTX 4090 D": "rtx-4090-d",
    "4090D": "rtx-4090-d",
    "3080 Ti 12GB": "rtx-3080-ti",
    "rtx3080ti": "rtx-3080-ti",
    "RTX 3080": "rtx-3080-10",
    "RTX 3080 12GB": "rtx-3080-12",
    "RTX 4070 Ti Super": "rtx-4070-ti-super",
    "RTX 4070 Ti": "rtx-4070-ti",
    "RTX 3060 Mobile": "rtx-3060-laptop",
    "RTX 4060 Ti 16GB": "rtx-4060-ti-16",
    "RTX 6000 Ada Generation": "rtx-6000-ada",
    "Quadro RTX 6000": "quadro-rtx-6000",
    "RTX PRO 6000 Blackwell Workstation Edition": "rtx-pro-6000",
    "RTX-PRO-6000-Blackwell-Server-Edition": "rtx-pro-6000-server",
    "Jetson-AGX-Orin-64G": "jetson-agx-orin",
    "Jetson AGX Orin 32GB": "jetson-agx-orin-32",
    "Jetson Orin Nano 8GB": "jetson-orin-nano-8",
    "Spark": "gb10",
    "DGX-Spark-GB10": "gb10",
    "ASUS Ascent GX10": "gb10",
    "MI300X 192GB 750W": "mi300x",
    "AMD MI300X-NPS1-SPX-192GB-750W": "mi300x",
    "MI250": "mi250",
    "MI250X GCD": "mi250-gcd",
    "MI50 32GB": "mi50-32",
    "7900XTX": "rx-7900-xtx",
    "Radeon RX 7900 XTX": "rx-7900-xtx",
    "7900 XT": "rx-7900-xt",
    "Framework Mainboard (128GB)": "ryzen-ai-max-395",
    "Strix Halo": "ryzen-ai-max-395",
    "Framework Desktop Mainboard (395+)": "ryzen-ai-max-395",
    "Framework 13 (Ryzen AI 5 340 16GB)": "ryzen-ai-340",
    "[MAXSUN]-MS-Intel-Arc-Pro-B60-Dual-48G-Turbo": "arc-pro-b60",
    "Intel Data Center GPU Max 1550": "max-1550",
    "Max 1550 tile": "max-1550-tile",
    "Intel®-Gaudi®-2-AI-Accelerator": "gaudi2",
    "Habana-Gaudi2": "gaudi2",
    "Gaudi 2": "gaudi2",
    "Apple-M2-Ultra-76-Core-GPU-192GB": "m2-ultra",
    "M2 Ultra": "m2-ultra",
    "Apple-M3-Max-30core-GPU": "m3-max-30core",
    "M1 Max Mac Studio (10 core - 64GB)": "m1-max-32core",
    "Mac Studio (M3 Ultra 512GB)": "m3-ultra-80core",
    "MacBook Pro M4 Max 40-core": "m4-max",
    "CPU:Xeon-Platinum-8480+": "xeon-8480",
    "CPU:INTEL(R) XEON(R) 6787P": "xeon-6787p",
    "CPU:Intel (R) Xeon (R) CPU Max 9480": "xeon-max-9480",
    "AMD EPYC 9755": "epyc-9755",
    "Pi 5 - 16GB": "raspberry-pi-5",
    "Raspberry Pi 5 (8GB)": "raspberry-pi-5",
    "Pi 500+ - 16GB": "raspberry-pi-500",
    "Dell Optiplex 780 (C2Q Q8400)": "core2-q8400",
    "TPU v5litepod": "tpu-v5e",
    "v5e-8": "tpu-v5e",
    "trn1.32xlarge": "trainium1",
    "inf2.48xlarge": "inferentia2",
    "Graviton 4": "graviton4",
    "Trainium 2": "trainium2",
    "RTX6000Ada": "rtx-6000-ada",
    "Ryzen 7 7840U": "radeon-780m",
    "Ascend-A3": "ascend-910c",
    "Ascend-A2": "ascend-910b2",
    "Iluvatar BI-V150": "tiangai-150",
}

# Near misses: a wrong chip is worse than none.
UNKNOWN = {
    "": "nothing said",
    "RTX 4070 Ti Ultra": "no such sibling",
    "A100-PCIe-24GB": "no such memory size",
    "RTX 3080 20GB": "no such memory size",
    "H100 CNX": "another form",
    "Tesla V100-FHHL": "another form",
    "H100 + MI300X": "two chips",
    "Ryzen 7 5700": "a CPU with the number of a GPU",
    "Ryzen 5 7600": "a CPU with the number of a GPU",
    "Apple A16": "another maker's chip of that name",
    "EPYC 9374F": "not in the catalogue",
    "Apple M4 Ultra": "never made",
    "H1000": "never made",
    "H100-SMX": "a slip of the pen",
    "MI300X PCEI": "a slip of the pen",
    "TITAN Xp": "not in the catalogue",
    "Jetson TX2": "not in the catalogue",
    "Pi 3": "not in the catalogue",
    "banana": "no chip",
}

# The labels of two collections of published measurements, training and inference.
PUBLISHED = """
H100-SXM-80GB
A100-SXM4-80GB
H200-SXM-141GB
A100-PCIe-80GB
B200-SXM-180GB
GB200-192GB
RTX-PRO-6000-Blackwell-Server
B200-SXM
GB200
A100
H100
Gaudi2
MI250
MI300X
H200-NVL-141GB
Virtualized-NVIDIA-H200-SXM-141GB
RTX-PRO-6000-Blackwell-Server-Edition
[MAXSUN]-MS-Intel-Arc-Pro-B60-Dual-48G-Turbo
MI355X
GeForce-RTX-4090
L4
Habana-Gaudi2
A100-SXM-80GB-CTS
L40
CPU:Intel (R) Xeon (R) CPU Max 9480
A100-SXM-80GB
L4-PCIe-24GB
H100-PCIe-80GB
MOFFETT-S30-PCIe/FHFL-60GB
Intel®-Gaudi®-2-AI-Accelerator
H200-SXM-141GB-CTS
CPU:INTEL(R) XEON(R) GOLD 6538Y+
H100-NVL-94GB
Jetson-AGX-Orin-64G
CPU:INTEL(R) XEON(R) 6787P
Virtualized-NVIDIA-H100-SXM-80GB
Jetson-AGX-Thor-128G
H100-80GB-HBM3
3070-8GB
3080-10GB
3080-Ti-12GB
4070-Ti-12GB
4080-16GB
3090-24GB
4090-24GB
RTX-4000-Ada-20GB
RTX-5000-Ada-32GB
RTX-A6000-48GB
RTX-6000-Ada-48GB
A40-48GB
Apple-M1-7-Core-GPU-8GB
Apple-M1-Max-32-Core-GPU-64GB
Apple-M2-Ultra-76-Core-GPU-192GB
Apple-M3-Max-40-Core-GPU-64GB
Apple-M1-7core-GPU
Apple-M1-8core-GPU
Apple-M1-Pro-14core-GPU
Apple-M1-Pro-16core-GPU
Apple-M1-Max-24core-GPU
Apple-M1-Max-32core-GPU
Apple-M1-Ultra-48core-GPU
Apple-M1-Ultra-64core-GPU
Apple-M2-8core-GPU
Apple-M2-10core-GPU
Apple-M2-Pro-16core-GPU
Apple-M2-Pro-19core-GPU
Apple-M2-Max-30core-GPU
Apple-M2-Max-38core-GPU
Apple-M2-Ultra-60core-GPU
Apple-M2-Ultra-76core-GPU
Apple-M3-10core-GPU
Apple-M3-Pro-14core-GPU
Apple-M3-Pro-18core-GPU
Apple-M3-Max-30core-GPU
Apple-M3-Max-40core-GPU
Apple-M3-Ultra-60core-GPU
Apple-M3-Ultra-80core-GPU
Apple-M4-10core-GPU
Apple-M4-Pro-16core-GPU
Apple-M4-Pro-20core-GPU
Apple-M4-Max-32core-GPU
Apple-M4-Max-40core-GPU
RTX-PRO-6000-Blackwell
RTX-5090
RTX-4090
H100-80GB
RTX-5080
RTX-5070-Ti
RTX-3090
A100-80GB
RTX-5060-Ti
DGX-Spark-GB10
Radeon-AI-PRO-R9700
RX-9070-XT
RX-7900-XTX
RX-9070
Arc-A770
Arc-B580
RTX 4090
RTX 3080 Ti
Radeon AI Pro R9700
Mac Studio (M3 Ultra 512GB)
RTX 4070 Ti
RTX 2080 Ti
RTX A4000
M1 Ultra (48 GPU Core) 64GB
RTX 3060
Spark
Pro W7700
Framework Mainboard (128GB)
AI Pro R9700
Framework 13 (Ryzen AI 5 340 16GB)
Radxa Orion O6 - 16GB
Minisforum MS-R1
GMKtek G3 Plus (Intel N150) - 16GB
Pi 5 - 16GB
AmpereOne A192-32X - 512GB
5090
4090
4080
4070 Ti Super
4070
7900 XT
RX 7900 XT
A4000
RX 9070 XT
RTX A2000
M1 Max Mac Studio (10 core - 64GB)
RX 6700 XT
RX 7600
Arc B580
M4 Mac mini (10 core - 32GB)
RX 6500 XT
RX 580
A400
Arc Pro B50
AmpereOne A192-32X (512GB)
Framework 13 (Ryzen AI 5 340)
Arc A310 ECO
GMKtec G3 Plus (Intel N150) - 16GB
Pi 500+ - 16GB
Pi 5 - 8GB
Pi 400 - 4GB
Dell Optiplex 780 (C2Q Q8400)
DC-ROMA Mainboard II (8-core RISC-V)
HiFive Premier P550 (4-core RISC-V)
Framework Desktop Mainboard (395+)
CPU:Xeon-Platinum-8380
CPU:Xeon-Platinum-8480+
CPU:Xeon-Platinum-8580
Inferentia2
Trainium1
H800
CPU:Xeon-4thGen-M7i.16xlarge
Groq-LPU
MI300X 192GB 750W
H200-SXM
H100-SXM
H200
A100-SXM
Ascend-910B
B200
Intel-Max-1100
RTX-4070-Laptop-8GB
Ascend-A3
A100-SXM-40GB
V100-SXM3-32GB (DGX-2)
A100-SXM (DGX-A100)
V100-SXM2-16GB
V100-SXM2-32GB
TPU v4
TPU v5e
TPU v6e
Iluvatar BI-V150
MetaX C500
A800-SXM-80GB
H800-SXM-80GB
A100 (memory not stated)
L40S
V100-32GB
V100-SXM3-32GB (DGX-2H)
MI300X-192GB
MI325X-256GB
A800-80GB
TPU v3
Ascend 910
V100 (memory not stated)
""".strip().splitlines()


@pytest.mark.parametrize("label", MEANT)
def test_labels_find_their_chip(label: str) -> None:
    assert chip(label).id == MEANT[label]


@pytest.mark.parametrize("label", UNKNOWN)
def test_near_misses_find_none(label: str) -> None:
    with pytest.raises(UnknownChip):
        chip(label)


@pytest.mark.parametrize("label", PUBLISHED)
def test_published_labels_have_what_a_roofline_needs(label: str) -> None:
    found = chip(label)
    assert found.peak and found.memory_size and found.memory_speed


def test_every_chip_answers_to_its_id_and_name() -> None:
    for name in chip_names():
        found = chip(name)
        assert found.id == name
        assert chip(found.name).id == name


@pytest.mark.parametrize("label", MEANT)
def test_case_and_punctuation_do_not_matter(label: str) -> None:
    assert chip(label.upper().replace(" ", "_")).id == MEANT[label]


def test_an_exact_id_reads_one_file() -> None:
    labels._texts.cache_clear()
    chip("h100-sxm")
    assert labels._texts.cache_info().currsize == 0


def test_a_system_goes_before_a_label() -> None:
    assert fleet("TPU v7 pod (Ironwood)").pools[0].chips > 1
    assert fleet("DGX H100").pools[0].chips == 8
    assert fleet("4xNVIDIA H100 80GB HBM3").pools[0].chips == 4
