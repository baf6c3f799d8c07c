"""What verifiers saves: results.jsonl of an evaluation, or traces.jsonl with an episode in each line.

results.jsonl (verifiers before 0.4, verifiers/utils/save_utils.py, `state_to_output`): example_id (the group), prompt,
completion, reward, metrics, is_truncated, token_usage and more. traces.jsonl (verifiers 0.3 and later,
verifiers/v1/episode.py and trace.py, `Episode` and `Trace`, written by utils/trace_store.py, `write_episode`): task,
group, run (with the step of a training run) and traces; a trace has nodes (the messages, with an advantage for each
sampled token), calls, rewards (a score and a weight for each), metrics.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.logs.contract import Raw, reader
from lab.logs.formats import framed, names_in, records
from lab.logs.scalars import integer, number
from lab.logs.schema import objects, raw
from lab.text import listed

__all__ = ["read"]

_KEYS = {"results.jsonl": {"example_id", "reward", "completion"}, "traces.jsonl": {"task", "traces"}}
_TRUNCATED = ("max_turns", "max_input_tokens", "max_output_tokens", "max_total_tokens", "compaction_failed")
_ONE_POLICY = "An evaluation, not a training run: all rollouts are of one policy and stand in step 0."
_ONE_REWARD = "verifiers does not log which of its metrics are rewards, nor their weights; the total alone is a reward."


def _file(path: Path) -> Path | None:
    """The file itself, or that of the folder."""
    if not path.is_dir():
        return path if path.suffix == ".jsonl" else None
    return next((path / name for name in reversed(_KEYS) if (path / name).is_file()), None)


def _kind(file: Path | None) -> str | None:
    """As what the file is read, told by the keys of its first line."""
    if file is None:
        return None
    try:
        names = set(names_in(file))
    except InputError:
        return None
    return next((kind for kind, keys in _KEYS.items() if keys <= names), None)


def _is_log(path: Path) -> bool:
    return _kind(_file(path)) is not None


@reader("verifiers", recognises=_is_log, holds="results.jsonl or traces.jsonl")
def read(path: Path, steps: Container[int] | None) -> Raw:
    """The folder of a run, or its file."""
    file = _file(path)
    kind = _kind(file)
    if file is None or kind is None:
        raise InputError(f"{path} is no log of verifiers: it needs results.jsonl or traces.jsonl")
    if kind == "results.jsonl":
        log = objects([file], _result)
        return replace(log, notes=(_ONE_POLICY, _ONE_REWARD, *log.notes))
    return _traced(file)


def _result(logged: dict[str, Any]) -> dict[str, Any]:
    """A line of results.jsonl in the lab's own form."""
    missing = sorted(_KEYS["results.jsonl"] - logged.keys())
    if missing:
        raise InputError(f"a result of verifiers has no key {listed(missing)}; it has {listed(logged)}")
    usage, metrics = logged.get("token_usage"), logged.get("metrics")
    return {
        "step": 0,
        "group": str(logged["example_id"]),
        "prompt": _said(logged.get("prompt")),
        "completion": _said(logged["completion"]),
        "reward/total": number(logged["reward"]),
        "truncated": bool(logged.get("is_truncated")),
        "length": integer(usage.get("output_tokens")) if isinstance(usage, dict) else None,
        "stop_condition": str(logged.get("stop_condition") or ""),
        "failed": logged.get("error") is not None,
        **_numbers(metrics),
    }


def _traced(file: Path) -> Raw:
    """The rollouts of traces.jsonl."""
    (episodes,), torn = records([file], lambda episode: {"rows": list(_rollouts(episode))})
    rows = [row for episode in episodes for row in episode["rows"]]
    if not rows:
        raise InputError(f"{file} has no traces of any agent that is trained")
    notes = [_ONE_POLICY] if all(row["step"] == 0 for row in rows) else []
    if any([row.pop("uneven") for row in rows]):
        notes.append("Tokens of one rollout have different advantages; shown is their mean.")
    notes += _weighed(rows)
    return raw([file], [framed(rows)], notes=[*notes, *torn])


def _rollouts(episode: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The traces of an episode in the lab's own form, of the agents that are trained."""
    run, task = _object(episode, "run"), _object(episode, "task")
    work = _object(run, "work")
    group = (
        _object(episode, "group").get("id") or task.get("key") or task.get("hash") or _object(task, "data").get("idx")
    )
    if group is None:
        raise InputError("an episode of verifiers has neither a group nor a task that tells its group")
    for trace in _objects(episode, "traces"):
        agent = _object(trace, "agent")
        if agent.get("trainable") is False:
            continue
        yield {
            "step": number(work.get("step", 0)),
            "group": f"{group}/{agent.get('name', 'agent')}",
            "evaluation": work.get("type") == "eval",
            **_texts(trace),
            **_rewards(trace),
            "truncated": _truncated(trace),
            "stop_condition": str(trace.get("stop_condition") or ""),
            "failed": not trace.get("ok"),
            **_numbers(trace.get("metrics")),
        }


def _texts(trace: dict[str, Any]) -> dict[str, Any]:
    """What was asked, what was answered, its tokens, and the advantage, from the messages of a trace."""
    nodes = _objects(trace, "nodes")
    first = next((i for i, node in enumerate(nodes) if node.get("sampled")), len(nodes))
    credit = [a for node in nodes for a in map(number, _list(node, "advantages")) if a is not None]
    sampled = sum(token is True for node in nodes for token in _list(node, "mask"))
    return {
        "prompt": _said([node.get("message") for node in nodes[:first]]),
        "completion": _said([node.get("message") for node in nodes[first:]]),
        "length": integer(trace.get("num_output_tokens")) or sampled or None,
        "advantage": sum(credit) / len(credit) if len(set(credit)) > 1 else next(iter(credit), None),
        "uneven": len(set(credit)) > 1,
    }


def _rewards(trace: dict[str, Any]) -> dict[str, Any]:
    """Score and weight of each reward; None where scoring did not run."""
    found: dict[str, Any] = {}
    for name, reward in _object(trace, "rewards").items():
        given = reward if isinstance(reward, dict) else {}
        found[f"reward/{name}"] = number(given.get("score"))
        found[f"weight/{name}"] = number(given.get("weight", 1.0)) if given else None
    return found


def _weighed(rows: list[dict[str, Any]]) -> list[str]:
    """Rewards whose weight is not the same in every row become score times weight, with weight 1."""
    seen: dict[str, set[float]] = {}
    for row in rows:
        for name in row:
            if name.startswith("weight/"):
                seen.setdefault(name, set()).update([] if row[name] is None else [row[name]])
    varying = sorted(name.removeprefix("weight/") for name, weights in seen.items() if len(weights) != 1)
    for row, name in product(rows, varying):
        score, weight = row.get(f"reward/{name}"), row.get(f"weight/{name}")
        row[f"reward/{name}"] = None if score is None or weight is None else score * weight
        row[f"weight/{name}"] = 1.0
    differ = [name for name in varying if seen[f"weight/{name}"]]
    said = f"The weights of {listed(differ)} differ between tasks: these rewards are read as score times weight."
    return [said] if differ else []


def _truncated(trace: dict[str, Any]) -> bool:
    """As `Trace.is_truncated`: a limit was met, or the last answer ended for its length."""
    calls = [call for call in _objects(trace, "calls") if call.get("error") is None]
    return trace.get("stop_condition") in _TRUNCATED or bool(calls and calls[-1].get("finish_reason") == "length")


def _object(holder: dict[str, Any], key: str) -> dict[str, Any]:
    found = holder.get(key)
    return found if isinstance(found, dict) else {}


def _list(holder: dict[str, Any], key: str) -> list[Any]:
    found = holder.get(key)
    return found if isinstance(found, list) else []


def _objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [item for item in _list(holder, key) if isinstance(item, dict)]


def _numbers(metrics: Any) -> dict[str, float | None]:
    return {f"metric/{k}": number(v) for k, v in metrics.items()} if isinstance(metrics, dict) else {}


def _said(messages: Any) -> str:
    """A text as it is; the text of one message; several messages as `role: content` lines."""
    if not isinstance(messages, list):
        return messages if isinstance(messages, str) else ""
    said = [(str(m.get("role")), _text(m)) for m in messages if isinstance(m, dict)]
    return said[0][1] if len(said) == 1 else "\n".join(f"{role}: {text}" for role, text in said)


def _text(message: dict[str, Any]) -> str:
    """Content of a message, and the tools that it calls."""
    content = message.get("content")
    parts = [str(part.get("text") or "") for part in _objects(message, "content")]
    for call in _objects(message, "tool_calls"):
        called = _object(call, "function") or call
        parts.append(f"[tool_call {called.get('name')}({called.get('arguments')})]")
    return "".join([content if isinstance(content, str) else "", *parts])
