"""Measure what a learner waits for: `make bench`. Nothing here is a test; the goals stand beside the figures.

One section can be asked for by name: `python -m tools.bench training`.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.threads import usable_cores
from tools.notebook_form import METADATA, ROOT
from tools.notebooks import environment, execute, find, find_browser, read

if TYPE_CHECKING:
    import torch

    from course.models import LM

PLAIN_TRL = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}
"""TRL's trainers doing what our loop does and nothing beside it."""


def _say(label: str, value: str, goal: str = "") -> None:
    print(f"  {label:<56}{value:>14}" + (f"   goal: {goal}" if goal else ""), flush=True)


def lessons() -> None:
    """Run time of every notebook, in fresh kernels on at most two cores."""
    first_four = 0.0
    for path in find([]):
        with tempfile.TemporaryDirectory() as home:
            took = execute(read(path), path.parent, environment(Path(home), seed=0))
        first_four += took.seconds if path.name[:2] in ("00", "01", "02", "03") else 0
        _say(path.name, f"{took.seconds:.0f} s", "60 s or less")
    _say("lessons 00 to 03 together", f"{first_four:.0f} s", "under 180 s")


def training() -> None:
    """Our loop beside TRL's on the same conversations and model, and both beside the machine's best matrix product."""
    import torch

    from course.models import clone, load
    from course.train import chat_examples, document_examples, fit
    from course.world import documents
    from course.world.chats import sft_conversations

    base, records = load("base", device="cpu"), sft_conversations(0)
    best = best_matrix_product(torch.device("cpu"), torch.float32)
    _say("best float32 matrix product", f"{best / 1e9:.0f} GFLOP/s")
    rates: dict[str, list[float]] = {"ours": [], "TRL": []}
    for _ in range(3):  # in turns, so that a busy moment of the machine does not fall on one of them alone
        run = fit(clone(base), chat_examples(base, records), epochs=1, batch_size=16)
        rates["ours"].append(run.tokens / run.seconds)
        took = trl_seconds("SFT", clone(base), records, {"learning_rate": 3e-4, "assistant_only_loss": True})
        rates["TRL"].append(run.tokens / took)
    ours, theirs = (statistics.median(rates[name]) for name in ("ours", "TRL"))
    _say("SFT, our loop", f"{ours:,.0f} tok/s")
    _say("SFT, TRL's SFTTrainer, same data and model", f"{theirs:,.0f} tok/s")
    _say("ours over TRL's", f"{ours / theirs:.2f}", "at least 1.3")
    _say("share of the matrix product, 6 FLOP a weight and token", f"{6 * base.parameters * ours / best:.0%}")
    blocks = document_examples(base, documents(2500, 0), 192)
    run = fit(clone(base), blocks, epochs=1, batch_size=12, accumulate=2)
    rate = run.tokens / run.seconds
    _say("pretraining, our loop", f"{rate:,.0f} tok/s")
    _say("share of the matrix product", f"{6 * base.parameters * rate / best:.0%}")


def trl_seconds(kind: str, lm: "LM", data: list[dict], settings: dict[str, Any], **given: Any) -> float:
    """Seconds of TRL's trainer of a kind ("SFT", "Reward" or "DPO") for one pass over the data.

    With a reference computed beforehand, which TRL does when the trainer is made, that counts too.
    """
    import trl
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback

    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        config = getattr(trl, f"{kind}Config")(output_dir=folder, **(PLAIN_TRL | settings))
        made, data = getattr(trl, f"{kind}Trainer"), Dataset.from_list(data)
        began = time.perf_counter()
        trainer = made(lm.model, args=config, train_dataset=data, processing_class=lm.tokenizer, **given)
        trainer.remove_callback(PrinterCallback)
        began = began if settings.get("precompute_ref_log_probs") else time.perf_counter()
        trainer.train()
        synchronize(lm.device)
        return time.perf_counter() - began


def best_matrix_product(device: "torch.device", dtype: "torch.dtype") -> float:
    """The most floating-point operations in a second that a product of two large matrices reaches, of twelve tries."""
    import torch

    size = 8192 if device.type == "cuda" else 2048
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(12):
        synchronize(device)
        began = time.perf_counter()
        a @ b
        synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def synchronize(device: "torch.device") -> None:
    """Wait until a GPU has done what it was told, which it does while the program goes on."""
    import torch

    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def reinforcement() -> None:
    """PPO: one iteration with four models, sampling beside the library's, and memory over a hundred iterations."""
    import psutil

    from course.models import clone, load
    from course.rewards import load_reward
    from course.rl import PPOConfig, ppo
    from course.rollouts import chat_prompts, sample
    from course.world import SEEN, UNSEEN, country_questions

    mixed, reward, questions = load("mixed", "cpu"), load_reward("reward", "cpu"), country_questions(SEEN + UNSEEN)
    run = ppo(
        clone(mixed),
        reward,
        questions,
        iterations=6,
        settings=PPOConfig(rollout_batch_size=64, epochs=2, max_new_tokens=56),
    )
    timed = run.history[1:]  # the first iteration also warms up
    parts = {name: statistics.median(past["seconds"][name] for past in timed) for name in timed[0]["seconds"]}
    length = statistics.median(past["length"] for past in timed)
    _say("one iteration, 64 answers, 2 epochs, 4 models", f"{sum(parts.values()):.2f} s", "2 s or less")
    _say("mean length of these answers", f"{length:.0f} tokens")
    for name, took in parts.items():
        _say(f"of it {name}", f"{took:.2f} s")

    prompts = chat_prompts(mixed, questions[:64])
    rates: dict[str, list[float]] = {"ours": [], "library": []}
    for seed in range(6):  # in turns, as in `training`
        began = time.perf_counter()
        tokens = int(sample(mixed, prompts, max_new_tokens=56, seed=seed).mask.sum())
        rates["ours"].append(tokens / (time.perf_counter() - began))
        rates["library"].append(library_rate(mixed, prompts, 56, seed))
    ours, theirs = (statistics.median(rates[name][1:]) for name in ("ours", "library"))
    _say("sampling 64 answers with their log-probabilities", f"{ours:,.0f} tok/s")
    _say("transformers' generate, same prompts", f"{theirs:,.0f} tok/s")
    _say("ours over the library's", f"{ours / theirs:.2f}", "at least 1")

    resident: list[float] = []

    def note(prompts, texts):
        resident.append(psutil.Process().memory_info().rss / 1e6)
        return reward(prompts, texts)

    short = PPOConfig(rollout_batch_size=16, mini_batch_size=16, max_new_tokens=16)
    ppo(clone(mixed), note, questions, iterations=100, settings=short)
    _say("resident memory in iteration 10 of 100", f"{resident[9]:.0f} MB")
    _say("in iteration 100", f"{resident[99]:.0f} MB", "flat")


def library_rate(lm: "LM", prompts: list[list[int]], limit: int, seed: int) -> float:
    """New tokens in a second when transformers' `generate` samples from all tokens."""
    from transformers import GenerationConfig

    from course.batching import pad_left
    from course.models import precision, seeded

    filler = lm.tokenizer.pad_token_id
    ids, seen, _ = (tensor.to(lm.device) for tensor in pad_left(prompts, filler))
    ends = {"eos_token_id": lm.ends(), "pad_token_id": filler}
    freely = GenerationConfig(max_new_tokens=limit, do_sample=True, top_k=0, **ends)
    with seeded(seed, lm.device), precision(lm.device):
        began = time.perf_counter()
        made = lm.model.generate(input_ids=ids, attention_mask=seen, generation_config=freely)
        tokens = int((made[:, ids.shape[1] :] != filler).sum())
        return tokens / (time.perf_counter() - began)


def preference() -> None:
    """DPO by our loop beside TRL's on the same pairs and model, the reference's log-probabilities included."""
    from course.feedback import Labeller, label_pairs
    from course.models import clone, load
    from course.preferences import DPO, fit_preferences
    from course.rollouts import drafts
    from course.templates import CHATML
    from course.world import SEEN, country_questions

    mixed = load("mixed", "cpu")
    pairs = drafts(mixed, country_questions(SEEN, (0, 1))[::3], seed=0)
    records = label_pairs(Labeller("long", 0.0), pairs, seed=0).records[:192]

    def opened(question: str) -> str:
        return CHATML.render([{"role": "user", "content": question}], add_generation_prompt=True)

    data = [record | {"prompt": opened(record["prompt"])} for record in records]
    rates: dict[str, list[float]] = {"ours": [], "TRL": [], "TRL, reference beforehand": []}
    for _ in range(3):  # in turns, as in `training`
        began = time.perf_counter()
        fit_preferences(clone(mixed), records, DPO(), batch_size=16)
        rates["ours"].append(len(records) / (time.perf_counter() - began))
        for name, beforehand in (("TRL", False), ("TRL, reference beforehand", True)):
            reference = None if beforehand else clone(mixed).model
            settings = {"learning_rate": 1e-4, "precompute_ref_log_probs": beforehand}
            took = trl_seconds("DPO", clone(mixed), data, settings, ref_model=reference)
            rates[name].append(len(records) / took)
    ours, theirs, before = (statistics.median(each) for each in rates.values())
    _say("DPO, our loop", f"{ours:,.0f} pairs/s")
    _say("DPO, TRL's DPOTrainer, same pairs and model", f"{theirs:,.0f} pairs/s")
    _say("the same, reference computed beforehand", f"{before:,.0f} pairs/s")
    _say("ours over the faster of TRL's", f"{ours / max(theirs, before):.2f}", "at least 1.3")


def importing() -> None:
    """`import course` in a fresh interpreter, over the interpreter's own start."""

    def seconds(code: str) -> float:
        took = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    start = seconds("pass")
    _say("import course", f"{seconds('import course') - start:.2f} s", "0.3 s")
    _say("import course.study", f"{seconds('import course.study') - start:.2f} s")
    loaded = "import course, course.study, sys; sys.exit('torch' in sys.modules)"
    _say("torch comes with it", "no" if subprocess.run([sys.executable, "-c", loaded]).returncode == 0 else "YES", "no")


QUIZ_DRAWN = """() => new Promise(done => {
    let ran = null;
    const look = () => {
        const cells = [...document.querySelectorAll('.jp-CodeCell')];
        const last = cells[cells.length - 1];
        if (ran === null && /\\[\\d+\\]/.test(last?.querySelector('.jp-InputPrompt')?.textContent ?? ''))
            ran = performance.now();
        const quiz = last?.querySelector('fieldset');
        if (ran !== null && quiz && quiz.getBoundingClientRect().height > 0) done(performance.now() - ran);
        else setTimeout(look, 5);
    };
    window.jupyterapp.commands.execute('notebook:run-all-cells');
    look();
})"""


def drawing() -> None:
    """From the end of a quiz's cell to the quiz on the screen, in a real JupyterLab."""
    import nbformat
    from playwright.sync_api import sync_playwright

    browser = find_browser()
    if browser is None:
        _say("Run-All to first quiz drawn", "no Chromium")
        return
    with tempfile.TemporaryDirectory() as folder, _jupyterlab(Path(folder)) as url, sync_playwright() as playwright:
        cells = [nbformat.v4.new_code_cell(c) for c in ("from course.study import quiz", 'quiz("01")')]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), Path(folder) / "probe.ipynb")
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.goto(f"{url}/lab/tree/probe.ipynb")
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel", timeout=60_000
        )
        page.wait_for_timeout(2000)
        drawn = page.evaluate(QUIZ_DRAWN)
        _say("first quiz drawn after its cell", f"{drawn / 1000:.2f} s", "under 1 s")
        page.context.browser.close()


@contextmanager
def _jupyterlab(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "COURSE_HOME": str(folder / "home"), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def _seconds(threads: int) -> float:
    """Run time of notebook 02 that is told to take so many threads."""
    path = find(["02"])[0]
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home), seed=0) | {"OMP_NUM_THREADS": str(threads)}
        return execute(read(path), path.parent, env).seconds


def threads() -> None:
    """One notebook that asks for more threads than there are cores, and two notebooks at once."""
    cores = usable_cores()
    alone = _seconds(cores)
    _say(f"notebook 02 on {cores} cores", f"{alone:.0f} s")
    _say("with 8 threads asked for, times as long", f"{_seconds(8) / alone:.2f}", "at most 1.5")
    with ProcessPoolExecutor(2) as pool:
        both = max(pool.map(_seconds, [cores, cores]))
    _say("two at once, times their fair share", f"{both / (2 * alone):.2f}", "at most 1.5")


SECTIONS: dict[str, Callable[[], None]] = {
    "threads": threads,
    "importing": importing,
    "training": training,
    "reinforcement": reinforcement,
    "preference": preference,
    "drawing": drawing,
    "lessons": lessons,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(SECTIONS)} (default: all)")
    wanted = parser.parse_args().sections or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"unknown section {sorted(unknown)[0]!r}; there are {', '.join(SECTIONS)}")
    os.environ.update(TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.chdir(ROOT)
    for name in wanted:
        print(SECTIONS[name].__doc__)
        SECTIONS[name]()


if __name__ == "__main__":
    main()
