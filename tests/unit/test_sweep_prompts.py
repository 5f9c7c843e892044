"""The prompts of a sweep: text, JSON lines, and VBench's layouts."""

import json

import pytest

from bwcache.errors import ConfigError
from bwcache.explore.sweep.prompts import Prompt, read_prompts

# As VBench_full_info.json has its entries.
VBENCH = [
    {"prompt_en": "In a still frame, a stop sign", "dimension": ["temporal_flickering"]},
    {
        "prompt_en": "a bird and a cat",
        "dimension": ["multiple_objects"],
        "auxiliary_info": {"multiple_objects": {"object": "bird and cat"}},
    },
    {"prompt_en": "a person swimming", "dimension": ["subject_consistency", "dynamic_degree"]},
]


def test_a_prompt_on_each_line(tmp_path):
    path = tmp_path / "all_dimension.txt"
    path.write_text("\ufeffa red circle\n\n  a blue square \na red circle\n", encoding="utf-8")
    assert read_prompts(path) == [Prompt("a red circle"), Prompt("a blue square")]


def test_json_lines(tmp_path):
    path = tmp_path / "prompts.jsonl"
    lines = (
        {"prompt": "a", "seed": 3, "id": "0007"},
        {"prompt": "a", "seeds": [4, 3]},
        {"prompt_en": "b", "steps": 12, "dimension": "scene"},
        {"prompt": "c", "seed": None},
    )
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    assert read_prompts(path) == [
        Prompt("a", (3, 4)),
        Prompt("b", steps=12, dimensions=("scene",)),
        Prompt("c"),
    ]


def test_vbench_full_info(tmp_path):
    path = tmp_path / "VBench_full_info.json"
    path.write_text(json.dumps(VBENCH))
    found = read_prompts(path)
    assert [prompt.text for prompt in found] == [entry["prompt_en"] for entry in VBENCH]
    assert found[2].dimensions == ("subject_consistency", "dynamic_degree")
    (one,) = read_prompts(path, ["dynamic_degree"])
    assert one.text == "a person swimming"
    with pytest.raises(ConfigError, match="^dimension: got 'colour'; .*dynamic_degree, multiple"):
        read_prompts(path, ["colour"])


def test_vbench_prompts_per_dimension(tmp_path):
    (tmp_path / "scene.txt").write_text("an alley\na bridge\n")
    (tmp_path / "color.txt").write_text("a red car\nan alley\n")
    found = read_prompts(tmp_path)
    assert found == [
        Prompt("a red car", dimensions=("color",)),
        Prompt("an alley", dimensions=("color", "scene")),
        Prompt("a bridge", dimensions=("scene",)),
    ]
    assert len(read_prompts(tmp_path, ["scene"])) == 2


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("p.txt", "", "it holds no prompt"),
        ("p.txt", "\n \n", "it holds no prompt"),
        ("p.txt", b"\xff\xfe\x00", "utf-8"),
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": "b"\n', "its line 2 is no JSON"),
        ("p.jsonl", '{"prompt": "a"}\n\n["b"]\n', "its line 3 is no object"),
        ("p.jsonl", '{"text": "a"}', "its line 1 has no text as its prompt"),
        ("p.jsonl", '{"prompt": " "}', "its line 1 has no text"),
        ("p.jsonl", '{"prompt": "a", "seed": -1}', "its line 1 has a seed"),
        ("p.jsonl", '{"prompt": "a", "seed": true}', "its line 1 has a seed"),
        ("p.jsonl", '{"prompt": "a", "seeds": []}', "its line 1 has a seed"),
        ("p.jsonl", '{"prompt": "a", "steps": 1}', "its line 1 has steps"),
        ("p.jsonl", '{"prompt": "a", "dimension": 3}', "its line 1 has a dimension"),
        ("p.json", '{"prompt": "a"}', "its content is no list"),
        ("p.json", "[3]", "its entry 1 is no object"),
        ("p.json", "[]", "it holds no prompt"),
    ],
)
def test_what_is_no_prompt_is_named(name, content, why, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=f"^prompts: got .*{why}") as raised:
        read_prompts(path)
    assert "\n" not in str(raised.value)


def test_what_is_not_there_is_said(tmp_path):
    for path in (tmp_path / "nowhere.txt", tmp_path):
        with pytest.raises(ConfigError, match="^prompts: "):
            read_prompts(path)
