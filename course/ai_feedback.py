"""Labels, critiques and revisions by a language model: serves notebook 13.

The judge reads principles and answers. Its label is read from the probabilities of two letters (Bai et al. 2022, who
call it constitutional AI; Lee et al. 2023, RLAIF), or from what it is likely to say of, or make of, a single answer. It
is any causal language model with a chat template: the course's own `judge`, or an instruction model from the hub.

    judge = AIJudge(load("judge"), [write("true"), write("sentence")], author=load("sft"))
    records = judge.label(pairs).records  # preference records, as `label_pairs` gives them
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Literal, get_args

import torch

from course.batching import pad_left, read_by_length
from course.feedback.judge import (
    LETTERS,
    SHORT,
    Judgement,
    Protocol,
    follow_up,
    letter_of,
    pair_messages,
    probability,
    single_messages,
    turn,
)
from course.feedback.labellers import Pair, checked_pairs, unusable
from course.feedback.records import Labelled
from course.feedback.tastes import WorldPrompt
from course.formats import Message
from course.models import LM, precision
from course.numerics import sign
from course.plots import progress
from course.preferences import sequence_logps
from course.rollouts import sample
from course.rollouts.generation import check_room

Reading = Literal["letters", "verdicts", "rewriting"]
READINGS = get_args(Reading)

MOST_WORDS, MOST_ANSWER = 24, 48  # tokens of a word on two answers, and of an answer of its own
BATCH = 64


@dataclass(frozen=True)
class AIJudge:
    """A language model that compares answers by written principles.

    Attributes:
        lm: the model.
        constitution: its principles, sentences. A pair is judged by each of them, and the log-odds are averaged.
        protocol: the fixed words of the prompt: `SHORT` for the `judge` checkpoint, `IN_FULL` for others.
        author: who answers the question first, so that the answer stands in the prompt as a reference: the model whose
            knowledge is to count, such as the judge itself; None for no reference.
        reading: how an opinion is read, for all principles or by principle. "letters": it is shown both answers, in
            both orders, and names a letter. "verdicts": it is shown one at a time, and the odds are those of calling it
            good over the principle's objection. "rewriting": one at a time, with the objection held against it as if
            the judge had said so; the odds are those of writing the same answer again, a sum over its tokens. The last
            two need ChatML's markers.
        objections: by principle, what is said of an answer that does not keep to it; "letters" need none. (Bai et al.
            2022 have a request for a critique beside each principle.)
        max_new_tokens: the limit for what it says of the answers before it chooses.
    Raises:
        ValueError: no principle or an empty one, no such reading, a model without a chat template, or a tokenizer in
            which no single token means A or B.
    """

    lm: LM
    constitution: Sequence[str]
    protocol: Protocol = SHORT
    author: LM | None = None
    reading: Reading | Mapping[str, Reading] = "letters"
    objections: Mapping[str, str] = field(default_factory=dict)
    max_new_tokens: int = MOST_WORDS

    def __post_init__(self) -> None:
        if isinstance(self.constitution, str) or not self.constitution or not all(map(str.strip, self.constitution)):
            raise ValueError(
                f"The constitution is {self.constitution!r}; give a list of sentences, such as "
                "['Prefer the answer that is true.']."
            )
        for principle in self.constitution:
            self._how(principle)
        if not self.lm.tokenizer.chat_template:
            raise ValueError(
                f"{self.lm.name!r} has no chat template, so it is most likely a base model, which carries on a text "
                "and does no task. Take an instruction model, such as 'HuggingFaceTB/SmolLM2-135M-Instruct'."
            )
        letter_ids(self.lm)

    def references(self, prompts: Sequence[WorldPrompt]) -> list[str]:
        """The author's answer to each prompt, its likeliest tokens; "" without an author."""
        if self.author is None:
            return [""] * len(prompts)
        asked = list(dict.fromkeys(prompt.text for prompt in prompts))
        said = dict(zip(asked, _say(self.author, [[turn("user", text)] for text in asked], MOST_ANSWER), strict=True))
        return [said[prompt.text] for prompt in prompts]

    def transcripts(self, principle: str, pairs: Sequence[Pair]) -> list[list[Message]]:
        """Each pair put to the judge by one principle, up to where it chooses a letter."""
        references = self.references([pair.prompt for pair in pairs])
        rows = zip(pairs, references, strict=True)
        asked = [pair_messages(principle, p.text, a, b, said, self.protocol) for (p, a, b), said in rows]
        said = _say(self.lm, asked, self.max_new_tokens)
        return [follow_up(one, words, self.protocol.choice) for one, words in zip(asked, said, strict=True)]

    def judgements(self, principle: str, pairs: Sequence[Pair]) -> list[Judgement]:
        """What the judge makes of each pair by one principle, asked in both orders.

        Args:
            principle: a sentence; it need not be in the constitution.
            pairs: (prompt, a, b).
        Raises:
            ValueError: a pair is not of that form, an answer is empty, or the model's context is too short.
        """
        pairs = checked_pairs(pairs)
        both = [*pairs, *(Pair(prompt, b, a) for prompt, a, b in pairs)]
        odds = letter_odds(self.lm, self.transcripts(principle, both))
        return [Judgement(*two) for two in zip(odds[: len(pairs)], odds[len(pairs) :], strict=True)]

    def verdicts(self, principle: str, prompts: Sequence[WorldPrompt], texts: Sequence[str]) -> list[float]:
        """Log-odds, in nats, that the judge calls each answer good over the objection that belongs to the principle.

        Raises:
            ValueError: the principle has no objection, there is nothing to judge, or the context is too short.
        """
        asked = self._single(principle, prompts, texts)
        good, fault = (
            sequence_logps(self.lm, asked, [[turn("assistant", said)]] * len(asked)).logps
            for said in (self.protocol.good, self._objection(principle))
        )
        return (good - fault).tolist()

    def keeping(self, principle: str, prompts: Sequence[WorldPrompt], texts: Sequence[str]) -> list[float]:
        """Log-probability, in nats, that the judge writes each answer again as it is, told that it is at fault.

        Raises:
            ValueError: as in `verdicts`.
        """
        said = self._objection(principle)
        asked = [follow_up(one, said, self.protocol.again) for one in self._single(principle, prompts, texts)]
        return sequence_logps(self.lm, asked, [[turn("assistant", text)] for text in texts]).logps.tolist()

    def by_principle(self, principle: str, pairs: Sequence[Pair]) -> list[float]:
        """Log-odds of a over b by one principle, in nats, read as `reading` says; the principle may be any sentence."""
        pairs, how = checked_pairs(pairs), self._how(principle)
        if not pairs:
            return []
        if how == "letters":
            return [one.log_odds for one in self.judgements(principle, pairs)]
        prompts, firsts, seconds = zip(*pairs, strict=True)
        read = self.verdicts if how == "verdicts" else self.keeping
        each = read(principle, [*prompts, *prompts], [*firsts, *seconds])
        return [a - b for a, b in zip(each[: len(pairs)], each[len(pairs) :], strict=True)]

    def _how(self, principle: str) -> Reading:
        how = self.reading if isinstance(self.reading, str) else self.reading.get(principle, "letters")
        if how not in READINGS:
            raise ValueError(f"There is no reading {how!r}; choose among {', '.join(READINGS)}.")
        return how

    def _objection(self, principle: str) -> str:
        if principle not in self.objections:
            raise ValueError(f"There is no objection for {principle!r}. Add one to `objections`, such as 'A is wrong.'")
        return self.objections[principle]

    def log_odds(self, pairs: Sequence[Pair]) -> list[float]:
        """Log-odds of a over b, in nats, averaged over all principles of the constitution."""
        return list(map(mean, zip(*(self.by_principle(text, pairs) for text in self.constitution), strict=True)))

    def label(self, pairs: Sequence[Pair]) -> Labelled:
        """Preference records {prompt, chosen, rejected, probability}, and counts, as `label_pairs` gives them.

        `probability` is the soft label: how sure the judge is of the chosen answer, 0.5 to 1.
        """
        pairs = checked_pairs(pairs)
        fates = [unusable(pair.a, pair.b) for pair in pairs]
        usable, records = [pair for pair, fate in zip(pairs, fates, strict=True) if not fate], []
        for (prompt, a, b), odds in zip(usable, self.log_odds(usable), strict=True):
            if sign(odds):
                chosen, rejected = (a, b) if odds > 0 else (b, a)
                sure = round(probability(abs(odds)), 4)
                records.append({"prompt": prompt.text, "chosen": chosen, "rejected": rejected, "probability": sure})
        counts = {"labelled": len(records), "tie": len(usable) - len(records)}
        return Labelled(records, counts | {fate: fates.count(fate) for fate in ("identical", "empty")})

    def revisions(
        self, principle: str, prompts: Sequence[WorldPrompt], texts: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """A critique of each answer by one principle, and the answer written again after it.

        Returns:
            Critiques and new answers. Where nothing is written, the old answer stays.
        """
        asked = self._single(principle, prompts, texts)
        said = _say(self.lm, asked, self.max_new_tokens)
        again = [follow_up(one, words, self.protocol.again) for one, words in zip(asked, said, strict=True)]
        written = _say(self.lm, again, MOST_ANSWER)
        return said, [new.strip() or old for new, old in zip(written, texts, strict=True)]

    def _single(self, principle: str, prompts: Sequence[WorldPrompt], texts: Sequence[str]) -> list[list[Message]]:
        rows = zip(prompts, texts, self.references(prompts), strict=True)
        return [single_messages(principle, prompt.text, text, said, self.protocol.one) for prompt, text, said in rows]


def revise(judge: AIJudge, prompts: Sequence[WorldPrompt], texts: Sequence[str]) -> list[str]:
    """Critique and revise every answer by all principles of the constitution, one after the other.

    (Bai et al. 2022 draw one principle for each answer and revision.)

    Args:
        judge: writes critiques and revisions.
        prompts, texts: N questions and N answers.
    Returns:
        The N answers as they are after the last revision. An empty one stays empty.
    """
    rows = [i for i, text in enumerate(texts) if text.strip()]
    asked, new = [prompts[i] for i in rows], [texts[i] for i in rows]
    for principle in judge.constitution:
        _, new = judge.revisions(principle, asked, new)  # a revision is never empty
    return [dict(zip(rows, new, strict=True)).get(i, text) for i, text in enumerate(texts)]


def letter_ids(lm: LM) -> dict[str, list[int]]:
    """The tokens that mean A and B at the beginning of an answer: bare, after a space, after a bracket.

    Raises:
        ValueError: the tokenizer has no single token for one of them.
    """
    found: dict[str, list[int]] = {}
    for letter in LETTERS:
        written = (lm.tokenizer.encode(before + letter, add_special_tokens=False) for before in ("", " ", "\n", "("))
        single = {ids[0] for ids in written if len(ids) == 1}
        found[letter] = sorted(i for i in single if letter_of(lm.tokenizer.decode([i])) == letter)
        if not found[letter]:
            raise ValueError(
                f"The tokenizer of {lm.name!r} has no single token that is the letter {letter}. Take another model."
            )
    return found


@torch.no_grad()
def letter_odds(lm: LM, conversations: Sequence[list[Message]]) -> list[float]:
    """Log-odds of the letter A over B as the next word of the assistant, in nats; a line says if it hardly says either.

    Args:
        lm: the model.
        conversations: each ends with the user's turn that asks for a letter.
    Raises:
        ValueError: a conversation leaves no room in the model's context.
    """
    rows, ids = _encode(lm, conversations), letter_ids(lm)
    if not rows:
        return []
    check_room(lm, rows, 1)

    def read(part: list[list[int]]) -> torch.Tensor:
        """Of each letter, the log-probability; shape (rows, 2)."""
        input_ids, mask, positions = (t.to(lm.device) for t in pad_left(part, lm.tokenizer.pad_token_id))
        with precision(lm.device):
            seen = {"input_ids": input_ids, "attention_mask": mask, "position_ids": positions}
            logits = lm.model(**seen, logits_to_keep=1, use_cache=False).logits
        logps = logits[:, -1].float().log_softmax(-1)
        return torch.stack([logps[:, ids[letter]].logsumexp(-1) for letter in LETTERS], dim=1)

    a, b = read_by_length(rows, len, BATCH, read).unbind(1)
    heard = float((a.exp() + b.exp()).mean())
    if heard < 0.5:
        print(
            f"{lm.name} gives the letters A and B {heard:.1%} of its probability: it would say something else. "
            "Say more clearly in the protocol that it is to reply with a letter."
        )
    return (a - b).tolist()


def _say(lm: LM, conversations: Sequence[list[Message]], most: int) -> list[str]:
    """What the assistant says next, its likeliest tokens, one text for each conversation."""
    rows = _encode(lm, conversations)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    texts: dict[int, str] = {}
    for first in progress(range(0, len(order), BATCH), f"{len(order):,} answers, batches"):
        at = order[first : first + BATCH]
        said = sample(lm, [rows[i] for i in at], max_new_tokens=most, temperature=0).texts
        texts |= zip(at, map(str.strip, said), strict=True)
    return [texts[i] for i in range(len(rows))]


def _encode(lm: LM, conversations: Sequence[list[Message]]) -> list[list[int]]:
    return [lm.encode(one, add_generation_prompt=True).input_ids for one in conversations]
