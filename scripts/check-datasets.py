"""Loads exported datasets with `datasets` and checks them with TRL's own functions. Called by scripts/check-datasets, which see."""

import sys
import urllib.request
from pathlib import Path

from datasets import Features, List, Value, load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template, extract_prompt, is_conversational, unpair_preference_dataset

TEXT = Value("string")
CHAT = List({"role": TEXT, "content": TEXT})
PROFILES = {
    "trl-preference": {"prompt": TEXT, "chosen": TEXT, "rejected": TEXT},
    "trl-preference-chat": {"prompt": CHAT, "chosen": CHAT, "rejected": CHAT},
    "kto": {"prompt": CHAT, "completion": CHAT, "label": Value("bool")},
    "reward": {"chosen": CHAT, "rejected": CHAT, "margin": Value("float64")},
    "hh-rlhf": {"chosen": TEXT, "rejected": TEXT},
    "sft": {"prompt": CHAT, "completion": CHAT},
    "judgments": {
        "task": TEXT, "worker": TEXT, "label": TEXT, "task_type": TEXT, "display_order": List(Value("int64")), "reasons": List(TEXT),
        "confidence": Value("float64"), "time_spent_seconds": Value("float64"), "weight": Value("float64"),
        "rubric_version": Value("int64"), "is_simulated": Value("bool"), "judged_at": TEXT,
    },
}
TURN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


def fetch(base: str, key: str, folder: Path) -> None:
    """Downloads every profile in both formats."""
    for name in PROFILES:
        for ending in ("jsonl", "parquet"):
            request = urllib.request.Request(f"{base}/v1/exports/{name}?format={ending}", headers={"Authorization": f"Bearer {key}"})
            with urllib.request.urlopen(request, timeout=600) as answer, open(folder / f"{name}.{ending}", "wb") as file:
                while chunk := answer.read(1 << 20):
                    file.write(chunk)


def small_tokenizer() -> PreTrainedTokenizerFast:
    """Knows one word; enough for a chat template, without a download."""
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, chat_template=TURN)


def check(name: str, data, tokenizer) -> str:
    """What a trainer would do with a dataset first; says what was done."""
    row = data[0]
    if name == "trl-preference":
        assert not is_conversational(row)
        assert all(one["chosen"].startswith(" ") and one["rejected"].startswith(" ") for one in data)
        assert unpair_preference_dataset(data).num_rows == 2 * data.num_rows
        return "explicit prompts, unpaired for KTO"
    if name == "hh-rlhf":
        for one in data:
            prompts = [one[side].rsplit("\n\nAssistant: ", 1)[0] for side in ("chosen", "rejected")]
            assert prompts[0] == prompts[1] and prompts[0].startswith("\n\nHuman: ")
        return "both sides share everything up to the last turn"
    if name == "judgments":
        assert len(set(zip(data["task"], data["worker"]))) == data.num_rows
        return "task, worker, label, each once"
    assert is_conversational(row)
    if name == "reward":
        done = data.map(extract_prompt)
        assert all(one["prompt"][-1]["role"] == "user" and one["chosen"][0]["role"] == "assistant" for one in done)
        data = done
    rendered = data.map(lambda one: apply_chat_template(one, tokenizer))
    assert all(isinstance(value, (str, bool, float)) for value in rendered[0].values()), rendered[0]
    if name == "kto":
        return f"chat template applied, {sum(data['label'])} of {data.num_rows} good"
    if name == "trl-preference-chat":
        assert unpair_preference_dataset(data).num_rows == 2 * data.num_rows
    return "prompt found, chat template applied" if name == "reward" else "chat template applied"


def main(folder: Path) -> int:
    tokenizer, failed = small_tokenizer(), 0
    for name, columns in PROFILES.items():
        try:
            read = {}
            for kind, ending in (("json", "jsonl"), ("parquet", "parquet")):
                file = folder / f"{name}.{ending}"
                if file.stat().st_size == 0:
                    continue
                read[ending] = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(folder / "cache"))
            if not read or read["parquet"].num_rows == 0:
                print(f"{name:20} empty: nothing to check")
                continue
            for ending, data in read.items():
                assert data.features == Features(columns), f"{ending}: {data.features}"
            assert read["jsonl"].to_list() == read["parquet"].to_list(), "the formats hold different rows"
            said = {check(name, data, tokenizer) for data in read.values()}
            print(f"{name:20} {read['jsonl'].num_rows} rows in both formats, the same columns; {'; '.join(said)}")
        except Exception as error:  # each profile is checked, whatever is wrong with the one before
            failed += 1
            print(f"{name:20} FAILED: {error!r}")
    return failed


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if len(sys.argv) > 2:
        fetch(sys.argv[2].rstrip("/"), sys.argv[3], where)
    sys.exit(1 if main(where) else 0)
