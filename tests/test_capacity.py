"""What fits into memory: the plan by cases and as properties, what it counts, and the memory that is free."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from course.capacity import ADAPTERS, MARGIN, Plan, Size, free_memory, left_in_groups, plan
from course.models import LM, with_lora
from course.rl import bytes_held, kept_for_backward
from course.train import labelled_losses
from tests.tiny import build_model, build_tokenizer

GB = 10**9
SMOLLM2 = Size(134_515_008, 30, 576, 1536, 49_152)
QWEN_HALF = Size(494_032_768, 24, 896, 4864, 151_936)
QWEN = Size(1_543_714_304, 28, 1536, 8960, 151_936)
QWEN_7B = Size(7_615_616_512, 28, 3584, 18_944, 152_064)
TOKENIZER = build_tokenizer()


@pytest.mark.parametrize(
    ("size", "free", "asked", "wanted"),
    [
        pytest.param(SMOLLM2, 4 * GB, {}, Plan(8, 1, True), id="135M on a small laptop: as without a plan"),
        pytest.param(SMOLLM2, 6 * GB, {"all_weights": True, "rows": 2}, Plan(8, 1, False), id="its reward model"),
        pytest.param(QWEN_HALF, 11 * GB, {"all_weights": True}, Plan(8, 1, False), id="0.5B on 16 GB"),
        pytest.param(QWEN, 8.8 * GB, {}, Plan(8, 1, True), id="1.5B on 16 GB, which hold it once"),
        pytest.param(
            QWEN, 2.6 * GB, {"all_weights": True, "rows": 2}, Plan(1, 8, True), id="its reward model, with a copy"
        ),
        pytest.param(QWEN, 70 * GB, {"all_weights": True, "bf16": True}, Plan(8, 1, False), id="1.5B on 80 GB"),
        pytest.param(QWEN_7B, 48 * GB, {"all_weights": True, "bf16": True}, Plan(8, 1, True), id="7B on 80 GB"),
        pytest.param(QWEN_7B, 0, {}, Plan(1, 8, True), id="nothing is free"),
    ],
)
def test_a_plan_fits_model_and_memory(size: Size, free: float, asked: dict, wanted: Plan) -> None:
    assert plan(size, 60, 8, int(free), **asked) == wanted
    assert wanted.steps == {"batch_size": wanted.batch_size, "accumulate": wanted.accumulate}


SIZES = st.builds(
    Size,
    weights=st.integers(1, 10**11),
    layers=st.integers(1, 100),
    width=st.integers(1, 16_384),
    inner=st.integers(1, 65_536),
    vocabulary=st.integers(1, 300_000),
)
ASKED = st.fixed_dictionaries({"all_weights": st.booleans(), "rows": st.integers(1, 3), "bf16": st.booleans()})
LONGEST, WANTED, FREE = st.integers(1, 4096), st.integers(1, 64), st.integers(-(10**10), 2 * 10**11)


@given(SIZES, LONGEST, WANTED, FREE, ASKED)
def test_the_wanted_batch_is_kept_whatever_is_free(size, longest, wanted, free, asked) -> None:
    made = plan(size, longest, wanted, free, **asked)
    assert 1 <= made.batch_size <= wanted
    assert made.batch_size * made.accumulate == wanted
    assert made.lora or asked["all_weights"]


@given(SIZES, LONGEST, WANTED, FREE, st.integers(0, 10**11), ASKED)
def test_more_memory_buys_all_weights_first_and_then_a_larger_batch(size, longest, wanted, free, more, asked) -> None:
    less, after = (plan(size, longest, wanted, given, **asked) for given in (free, free + more))
    assert (not less.lora, less.batch_size) <= (not after.lora, after.batch_size)


@given(SIZES, LONGEST, WANTED, FREE, ASKED)
def test_what_is_planned_fits_or_is_the_least_there_is(size, longest, wanted, free, asked) -> None:
    made = plan(size, longest, wanted, free, **asked)
    each = (0.32 if made.lora else 12) + (2 if asked["bf16"] else 0)
    needs = each * size.weights + made.batch_size * asked["rows"] * longest * size.bytes_per_token
    assert needs <= MARGIN * free + 1 or (made.batch_size, made.lora) == (1, True)


def lm_of(kind: str, layers: int, width: int, inner: int) -> LM:
    config, made = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}[kind]
    sizes = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": 4}
    model = made(config(vocab_size=len(TOKENIZER), num_key_value_heads=2, **sizes))
    return LM("tiny", model.eval(), TOKENIZER)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize(("kind", "width", "inner"), [("llama", 64, 171), ("qwen2", 64, 384)])
def test_a_layer_keeps_what_the_formula_says(kind: str, width: int, inner: int, lora: bool) -> None:
    ids = torch.arange(200).view(4, 50)
    kept, counted = [], []
    for layers in (2, 4):
        lm = lm_of(kind, layers, width, inner)
        counted.append(Size.of(lm).bytes_per_token * ids.numel())
        lm = with_lora(lm, rank=4) if lora else lm
        with kept_for_backward(lm.model) as seen:
            labelled_losses(lm, {"input_ids": ids, "labels": ids})
        kept.append(seen.bytes)
    share = (kept[1] - kept[0]) / (counted[1] - counted[0])
    assert (0.8 if lora else 0.95) < share < 1.02, "frozen norms keep a little less"
    assert all(real <= plan for real, plan in zip(kept, counted, strict=True))


def test_the_optimizer_holds_what_the_plan_counts() -> None:
    lm = lm_of("llama", 2, 64, 171)
    optimizer = torch.optim.AdamW(lm.model.parameters())
    lm.model(torch.tensor([[1, 2]])).logits.sum().backward()
    optimizer.step()
    held = bytes_held(lm.model, optimizer)
    assert held["gradients"] + held["moments"] == 12 * Size.of(lm).weights
    assert held["weights"] == 4 * Size.of(lm).weights


def test_adapters_of_rank_8_are_as_few_as_is_counted() -> None:
    rank, size = 8, SMOLLM2
    attention = 2 * (size.width + size.width) + 2 * (size.width + 192)  # queries and output, keys and values
    each = attention + 3 * (size.width + size.inner)
    assert size.layers * rank * each <= ADAPTERS * size.weights


def test_the_size_is_read_from_the_model() -> None:
    lm = LM("tiny", build_model(TOKENIZER), TOKENIZER)
    assert Size.of(lm) == Size(lm.parameters, 2, 32, 64, len(TOKENIZER))
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=len(TOKENIZER), n_embd=32, n_layer=2, n_head=4))
    size = Size.of(LM("tiny", gpt2, TOKENIZER))
    assert size == Size(size.weights, 2, 32, 128, len(TOKENIZER)), "it names no inner size: it is four times the width"


def test_the_memory_of_the_processor_is_found() -> None:
    assert 0 < free_memory(torch.device("cpu")) < 10**15


V1 = "6:memory:/docker/abc\n2:cpu:/\n"


@pytest.mark.parametrize(
    ("files", "left"),
    [
        pytest.param({}, [], id="no control groups"),
        pytest.param({"memory.max": "max\n", "memory.current": "5\n"}, [], id="no limit"),
        pytest.param({"memory.max": "100\n", "memory.current": "70\n"}, [30], id="v2"),
        pytest.param(
            {"memory.max": "100\n", "memory.current": "70\n", "memory.stat": "anon 50\ninactive_file 20\n"},
            [50],
            id="cached files are given back",
        ),
        pytest.param({"memory.max": "10\n", "memory.current": "70\n"}, [0], id="over the limit"),
        pytest.param(
            {
                "memory/docker/abc/memory.limit_in_bytes": "100\n",
                "memory/docker/abc/memory.usage_in_bytes": "90\n",
                "memory/docker/abc/memory.stat": "inactive_file 1\ntotal_inactive_file 5\n",
            },
            [15],
            id="v1",
        ),
    ],
)
def test_what_a_control_group_leaves_is_found(tmp_path: Path, files: dict[str, str], left: list[int]) -> None:
    is_v1 = any(name.startswith("memory/") for name in files)
    for name, text in {f"sys/fs/cgroup/{k}": v for k, v in files.items()}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(V1 if is_v1 else "0::/\n")
    assert left_in_groups(tmp_path) == left
