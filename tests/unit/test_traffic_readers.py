"""Every trace format, on a few rows by hand and on the real files where they are at hand."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from eke.errors import BadFile, BadInput
from eke.simulation.traffic import Traffic, traffic
from eke.simulation.traffic.columns import joined, unnumbered
from eke.types.arrivals import Arrivals

DATA = Path(__file__).parents[1] / "data" / "traffic"
REAL = Path(__file__).parents[3] / "shared" / "traces"


def whole(found: Traffic) -> Arrivals:
    return joined(list(unnumbered(found.chunks())))


def hand(name: str) -> Arrivals:
    return whole(traffic(str(DATA / name)))


def real(name: str) -> str:
    path = REAL / name.partition(",")[0]
    if not path.is_file():
        pytest.skip("the traces are not at hand")
    return str(REAL / name)


@pytest.mark.parametrize(
    ("name", "arrived", "prompt", "answer"),
    [
        ("azure2023.csv", [0, 4.314579, 4.541977], [374, 396, 879], [44, 109, 55]),
        ("azure2024.csv", [0, 0.007405, 1.49007], [2162, 2399, 76], [5, 6, 15]),
        ("azure2025.csv", [0, 2.5], [900, 100], [50, 20]),
        ("burstgpt.csv", [0, 40, 113], [472, 1087, 417], [18, 230, 1]),
        ("burstgpt_sessions.csv", [0, 51, 82, 83], [906, 36, 1400, 10], [446, 29, 100, 10]),
        ("arena.csv", [0, 0.2, 0.5], [13, 36, 20], [199, 137, 10]),
        ("measured.csv", [0, 0.285], [2358, 1034], [531, 769]),
        ("run.csv", [0, 1.5, 8.5], [100, 50, 130], [20, 5, 20]),
        ("qwen.jsonl", [0, 0.5, 61.1, 99], [30, 16, 60, 90], [20, 3, 12, 12]),
        ("aiperf.jsonl", [0, 1.5], [551, 550], [900, 40]),
        ("vllm.json", [0, 1.4, 1.5], [100, 50, 200], [3, 1, 2]),
        ("guidellm.json", [0, 0.5, 1], [250, 256, 255], [120, 128, 7]),
    ],
)
def test_times_and_lengths(
    name: str, arrived: list[float], prompt: list[int], answer: list[int]
) -> None:
    chunk = hand(name)
    assert chunk.arrived == pytest.approx(arrived, abs=1e-5)
    assert chunk.prompt.tolist() == prompt and chunk.answer.tolist() == answer


def test_azure_images() -> None:
    assert hand("azure2025.csv").images.tolist() == [2, 0]


def test_sessions_and_models_of_burstgpt() -> None:
    chunk = hand("burstgpt_sessions.csv")
    assert chunk.session.tolist() == [0, 1, 0, -1]
    assert [chunk.kinds[code] for code in chunk.kind] == ["GPT-4", "ChatGPT", "GPT-4", "GPT-4"]
    only = whole(traffic(f"{DATA / 'burstgpt_sessions.csv'}, only ChatGPT"))
    assert only.prompt.tolist() == [36]


def test_clients_of_the_arena_are_tenants() -> None:
    chunk = hand("arena.csv")
    assert [chunk.tenants[code] for code in chunk.tenant] == ["lora-13", "lora-2", "lora-13"]


def test_a_run_keeps_its_promises() -> None:
    chunk = hand("run.csv")
    assert chunk.ttft.tolist() == [1, np.inf, 1] and chunk.deadline.tolist() == [np.inf, 60, np.inf]
    assert chunk.priority.tolist() == [0, 10, 0] and chunk.session.tolist() == [0, -1, 0]
    assert [chunk.kinds[code] for code in chunk.kind] == ["chat", "batch", "chat"]


def test_mooncake_is_spread_inside_its_bins() -> None:
    found = traffic(str(DATA / "mooncake.jsonl"))
    chunk = whole(found)
    assert (np.diff(chunk.arrived) >= 0).all()
    assert (chunk.arrived // 3).tolist() == [0, 0, 1, 1, 3]
    assert chunk.hashes.tolist() == [0, 1, 2, 0, 3, 0, 4, 0, 5]
    assert chunk.hash_start.tolist() == [0, 3, 5, 6, 7, 9] and chunk.hash_tokens == 512
    assert any("bins of 3 s" in remark for remark in found.remarks)
    other = whole(traffic(str(DATA / "mooncake.jsonl"), seed=1))
    assert not np.array_equal(other.arrived, chunk.arrived)


def test_shorter_prompts_have_fewer_blocks() -> None:
    chunk = whole(traffic(f"{DATA / 'mooncake.jsonl'}, scale prompts 0.5"))
    assert np.diff(chunk.hash_start).tolist() == [2, 1, 1, 1, 1]
    assert chunk.hashes.tolist() == [0, 1, 0, 0, 4, 0]


def test_qwen_turns_are_one_session() -> None:
    chunk = hand("qwen.jsonl")
    assert chunk.session.tolist() == [0, 1, 0, 0] and chunk.hash_tokens == 16
    assert chunk.kinds == ("text", "search")


def test_agent_calls_follow_each_other() -> None:
    found = traffic(str(DATA / "agents.jsonl"))
    chunk = whole(found)
    assert found.users == 1 and chunk.after.tolist() == [-1, 0, -1]
    assert chunk.prompt.tolist() == [324, 500, 8] and chunk.answer.tolist() == [100, 1, 2]
    assert chunk.arrived.tolist() == [0, 5 - 100 / 50, 0]
    timed = whole(traffic(f"{DATA / 'agents.jsonl'}, 2/s"))
    assert timed.arrived[1] == 3 and timed.arrived[2] > timed.arrived[0]


def test_warming_up_is_counted() -> None:
    found = traffic(str(DATA / "aiperf.jsonl"))
    whole(found)
    assert found.skipped.rows == 1 and "warming up" in found.skipped.reasons[0]


def test_lengths_alone_need_a_pace() -> None:
    path = DATA / "lengths.csv"
    with pytest.raises(BadInput, match="no times; say how many come"):
        traffic(str(path))
    timed = whole(traffic(f"{path}, 5/s"))
    assert timed.prompt.tolist() == [3742, 18] and timed.arrived[1] > timed.arrived[0]
    assert traffic(f"{path}, users 3").users == 3


def test_results_without_times_need_a_pace(tmp_path: Path) -> None:
    found = json.loads((DATA / "vllm.json").read_text())
    del found["start_times"]
    path = tmp_path / "sglang.jsonl"
    path.write_text(json.dumps(found) + "\n" + json.dumps(found) + "\n")
    with pytest.raises(BadInput, match="no times"):
        traffic(str(path))
    assert len(whole(traffic(f"{path}, users 2"))) == 6


def test_a_summary_has_no_requests() -> None:
    with pytest.raises(BadFile, match="--save-detailed"):
        traffic(str(DATA.parent / "measurements" / "vllm-serve.json"))


def test_packed_or_not_is_the_same(tmp_path: Path) -> None:
    plain = (DATA / "azure2023.csv").read_bytes()
    path = tmp_path / "trace.bin"
    path.write_bytes(gzip.compress(plain[:60]) + gzip.compress(plain[60:]))
    assert np.array_equal(whole(traffic(str(path))).prompt, hand("azure2023.csv").prompt)


def archive(path: Path, files: dict[str, str]) -> str:
    """A tar.gz of ServeGen files."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return str(path)


RATES = "0,2.0,1.0,Gamma,1.0,0.5\n600,0,0,,0,0\n1200,1.0,1.5,Weibull,0.7,0.8\n"
LENGTHS = json.dumps(
    {"0": {"input_tokens": "{}", "output_tokens": "{}"}}
    | {"21600": {"input_tokens": "{10: 0.25, 30: 0.75}", "output_tokens": "{5: 1.0}"}}
)


def test_servegen_clients(tmp_path: Path) -> None:
    files = {f"data/m/chunk-{i}-trace.csv": RATES for i in range(2)}
    path = archive(tmp_path / "m.tar.gz", files | {"data/m/chunk-1-dataset.json": LENGTHS})
    found = traffic(path)
    chunk = whole(found)
    assert found.seconds == 1800 and chunk.tenants == ("client 0", "client 1")
    assert any("1 clients without lengths, 50% of requests" in each for each in found.remarks)
    early = chunk.arrived < 600
    assert early.sum() == pytest.approx(2400, abs=250)
    assert (~early).sum() == pytest.approx(1200, abs=300)
    assert not ((chunk.arrived >= 600) & (chunk.arrived < 1200)).any()
    assert chunk.prompt.mean() == pytest.approx(25, abs=1) and (chunk.answer == 5).all()
    assert np.array_equal(whole(found).arrived, chunk.arrived)


def test_servegen_rates_alone_need_lengths(tmp_path: Path) -> None:
    files = {f"data/{m}/chunk-0-trace.csv": RATES for m in ("small", "large")}
    path = archive(tmp_path / "rates.tar.gz", files)
    with pytest.raises(BadInput, match="only large or only small"):
        traffic(path)
    with pytest.raises(BadInput, match="say both"):
        traffic(f"{path}, only small")
    chunk = whole(traffic(f"{path}, only small, prompt 1000, answer 300"))
    assert chunk.prompt.mean() == pytest.approx(1000, rel=0.1) and chunk.kinds == ("small",)


def test_one_client_alone(tmp_path: Path) -> None:
    files = {f"data/m/chunk-{i}-trace.csv": RATES for i in range(2)}
    path = archive(tmp_path / "m.tar.gz", files | {"data/m/chunk-1-dataset.json": LENGTHS})
    chunk = whole(traffic(f"{path}, only client 1"))
    assert set(chunk.tenant) == {1}


@pytest.mark.parametrize(
    ("name", "rows", "prompt", "answer"),
    [
        ("azure2023_conv.csv.gz", 19_366, 1154.7, 211.1),
        ("mooncake_conversation_trace.jsonl.gz", 12_031, 12_035, 343),
        ("vtc_arena_trace.csv.gz", 1_500, 136.3, 256.2),
        ("sharegpt_val_10k_llama2_lengths.csv.gz, 5/s", 10_000, 245.8, 325.6),
        ("vidur_arxiv_summarization_lengths.csv.gz, 5/s", 28_257, 2588, 291),
        ("measured_vllm_rtxpro6000_llama31-8b.csv.gz", 300, 857, 653),
        ("measured_vllm_rtxpro6000_qwen3-30b-a3b.csv.gz", 300, 862, 665),
        ("lmcache_agent_sessions.jsonl.gz", 1_619, 2454, 321),
    ],
)
def test_the_real_traces_say_what_is_said_of_them(
    name: str, rows: int, prompt: float, answer: float
) -> None:
    chunk = whole(traffic(real(name)))
    assert len(chunk) == rows
    assert chunk.prompt.mean() == pytest.approx(prompt, rel=2e-3)
    assert chunk.answer.mean() == pytest.approx(answer, rel=2e-3)


def test_facts_of_the_real_traces() -> None:
    azure = whole(traffic(real("azure2023_conv.csv.gz")))
    gaps = np.diff(azure.arrived)
    assert gaps.std() / gaps.mean() == pytest.approx(1.09, abs=0.01)
    assert azure.arrived[-1] == pytest.approx(3502, abs=1)
    arena = whole(traffic(real("vtc_arena_trace.csv.gz")))
    assert len(set(arena.tenant)) == 27
    moon = whole(traffic(real("mooncake_conversation_trace.jsonl.gz")))
    assert len(moon.hashes) == 288_500 and len(np.unique(moon.hashes)) == 182_790
    assert (np.diff(moon.hash_start) == -(-moon.prompt // 512)).all()
    agents = whole(traffic(real("lmcache_agent_sessions.jsonl.gz")))
    assert (agents.after < 0).sum() == 69


def test_the_real_clients_ask_as_often_as_published() -> None:
    found = traffic(real("servegen_deepseek-r1.tar.gz, to 1h"))
    chunk = whole(found)
    full = whole(traffic(real("servegen_deepseek-r1.tar.gz, to 40min")))
    assert np.array_equal(chunk.prompt[: len(full)], full.prompt)
    assert len(chunk.tenants) == 73 and chunk.prompt.max() < 200_000


def test_cutting_a_trace_anywhere_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("azure2023.csv", "mooncake.jsonl", "agents.jsonl", "qwen.jsonl", "burstgpt.csv")
    before = {name: hand(name) for name in names}
    monkeypatch.setattr("eke.simulation.traffic.readers.source.BLOCK", 64)
    for name in names:
        after = hand(name)
        for column in ("arrived", "prompt", "after", "session", "hashes", "hash_start"):
            one, other = getattr(before[name], column), getattr(after, column)
            assert one is other is None or np.array_equal(one, other), (name, column)


def test_a_run_as_eke_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    names = ", ".join(f'"tenant {i}"' for i in range(20_000))
    lines = [
        f'# {{"table": "requests", "names": [{names}]}}',
        "arrived,prompt,answer,tenant,session",
    ]
    path.write_text("\n".join([*lines, "5.5,10,3,a,4", ",12,3,a,4", "1.5,20,4,b,-1"]) + "\n")
    found = traffic(str(path))
    chunk = whole(found)
    assert chunk.arrived.tolist() == [0, 4] and chunk.prompt.tolist() == [20, 10]
    assert found.skipped.rows == 1 and found.skipped.reasons == ["line 4: never came"]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_parquet_and_arrow_are_read_like_csv(tmp_path: Path, form: str) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet, csv = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.csv")
    for name in ("azure2023.csv", "burstgpt_sessions.csv", "run.csv"):
        table, path = csv.read_csv(DATA / name), tmp_path / f"{name}.{form}"
        if form == "parquet":
            parquet.write_table(table, path)
        else:
            with pa.ipc.new_file(str(path), table.schema) as file:
                file.write_table(table)
        read, hand_made = whole(traffic(str(path))), hand(name)
        for column in ("arrived", "prompt", "answer", "session", "kind", "deadline"):
            assert getattr(read, column) == pytest.approx(getattr(hand_made, column), abs=1e-6)
        assert read.kinds == hand_made.kinds


def test_half_a_parquet_file_is_a_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "trace.parquet"
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(BadFile, match="is no whole parquet file"):
        traffic(str(path))


def test_a_file_begins_again_where_it_ends() -> None:
    found = traffic(f"{DATA / 'mooncake.jsonl'}, 2/s, 10min")
    chunk = whole(found)
    assert len(chunk) == pytest.approx(1200, abs=150)
    assert chunk.prompt[:10].tolist() == [1030, 600, 512, 100, 700] * 2
    assert chunk.hashes[0] != chunk.hashes[9] and chunk.hashes[0] == chunk.hashes[3]
    assert any("begun again" in remark for remark in found.remarks)
    sessions = whole(traffic(f"{DATA / 'agents.jsonl'}, 1/s, 10s")).session
    assert len(set(sessions)) > 4


def test_images_make_prompts_longer() -> None:
    plain, seen = (whole(traffic(f"chat, 1/s, 1min{word}")) for word in ("", ", images 2"))
    assert (seen.prompt - plain.prompt == 2 * 576).all() and (seen.images == 2).all()


def test_a_mix_counts_what_its_parts_left_out(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("req_time_s,client,prompt_len,output_len\n0,a,1,1\n1,a,-1,1\n2,a,5,0\n")
    found = traffic(f"{path} & code, 1/s, 10s", skip_bad=True)
    whole(found)
    assert found.skipped.words() == "1 bad rows left out; 1 lengths of 0 taken as 1"


def test_a_run_in_order_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    rows = [f"{i / 10},{i % 90 + 1},5" for i in range(5000)]
    path.write_text("\n".join(["arrived,prompt,answer", *rows]) + "\n")
    ordered = whole(traffic(str(path)))
    path.write_text("\n".join(["arrived,prompt,answer", *reversed(rows)]) + "\n")
    assert np.array_equal(whole(traffic(str(path))).prompt, ordered.prompt)
