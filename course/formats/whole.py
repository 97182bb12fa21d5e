"""Preference data whose two sides are whole conversations, as in UltraFeedback and hh-rlhf. Serves notebook 06."""

import re
from typing import Any


def as_turns(value: Any) -> list[dict[str, Any]]:
    """A conversation in messages, or in a text as hh-rlhf writes it, as messages; an empty list if it is neither."""
    if isinstance(value, list):
        return value if all(isinstance(turn, dict) for turn in value) else []
    if not isinstance(value, str):
        return []
    before, *parts = re.split(r"(?:^|\n\n)(Human|Assistant):", value.replace("\r\n", "\n").lstrip())
    roles = {"Human": "user", "Assistant": "assistant"}
    spoken = zip(parts[::2], parts[1::2], strict=True)
    turns = [{"role": roles[name], "content": text.strip()} for name, text in spoken]
    return turns if not before and len(turns) > 1 else []


def conversation_in(prompt: str) -> str | None:
    """How a prompt's text holds whole turns, which would be learnt as what one user wrote; None if it holds none."""
    if prompt.rstrip().endswith("\n\nAssistant:") and as_turns(prompt):
        return "one text with `Human:` and `Assistant:`"
    return "JSON in a text" if re.fullmatch(r"(?s)\s*\[\s*\{\s*['\"]role['\"].*\}\s*\]\s*", prompt) else None


def said(turns: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Roles and texts of turns, without what else a message may hold."""
    return [(turn.get("role"), turn.get("content")) for turn in turns]


def whole_conversations(record: Any) -> list[list[dict[str, Any]]]:
    """The turns of `chosen` and of `rejected` where these repeat the prompt; an empty list where they do not.

    Texts must begin with the prompt, if there is one, for a dialogue may be what was asked for. A prompt that ends with
    `Assistant:`, before answers alone, is put in front of both.
    """
    if not isinstance(record, dict):
        return []
    sides, prompt = [record.get(side) for side in ("chosen", "rejected")], record.get("prompt")
    start = prompt.strip() if isinstance(prompt, str) else None
    begins = prompt is None
    if not all(isinstance(side, str) for side in sides):
        begins = True  # `extract_prompt` compares messages with the prompt
    elif start is not None:
        if start.endswith("\n\nAssistant:") and not any(side.strip().startswith(start) for side in sides):
            sides = [f"{start} {side}" for side in sides]
        begins = all(side.strip().startswith(start) for side in sides)
    turns = [as_turns(side) for side in sides]
    if not all(one and one[0].get("role") in ("system", "user") for one in turns):
        return []
    return turns if begins or all(start in [turn.get("content") for turn in one] for one in turns) else []
