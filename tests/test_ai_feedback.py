"""The judge's protocol on models: letters read from logits, both orders, labels, critiques and revisions."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from course.ai_feedback import AIJudge, letter_ids, letter_odds, revise
from course.feedback import Pair
from course.feedback.judge import (
    IN_FULL,
    SHORT,
    follow_up,
    pair_messages,
    probability,
    single_messages,
)
from course.formats import check
from course.models import LM, load
from course.templates import CHATML
from course.world import ask
from tests.tiny import SENTENCES, build_model, build_tokenizer

PRINCIPLE = "Prefer the answer that is true."
PERU, ITALY = ask("capital", "Peru"), ask("capital", "Italy")
PAIRS = [
    Pair(PERU, "The capital of Peru is Lima.", "Lima."),
    Pair(ITALY, "Rome.", "The capital of Italy is Paris, and I hope that this answer helps you."),
    Pair(PERU, "It is Rome.", "The capital of Peru is Lima."),
]


def outspoken(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """With weights so large that what stands far back in a prompt changes the next word."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight *= 8
    return model


@pytest.fixture(scope="module")
def lm() -> LM:
    tokenizer = build_tokenizer()
    return LM("tiny", outspoken(build_model(tokenizer)), tokenizer)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> LM:
    """A model as instruction models on the hub are: another tokenizer, another chat template, loaded from a folder.

    Its tokenizer is a Metaspace one, in which a word at the beginning of an answer carries a leading space.
    """
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    bpe.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>", "<pad>"]
    words = [*SENTENCES, "A B A B", "Principle: Question: Reference: Judge"]
    bpe.train_from_iterator(words, trainers.BpeTrainer(vocab_size=200, special_tokens=special, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = tmp_path_factory.mktemp("hub")
    outspoken(LlamaForCausalLM(config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(folder, "cpu")


# --- letters ----------------------------------------------------------------------------------------------------------


def test_letters_are_found_bare_and_behind_a_space(lm, hub):
    assert [lm.tokenizer.decode([ids[0]]) for ids in letter_ids(lm).values()] == ["A", "B"]
    ids = letter_ids(hub)
    assert {hub.tokenizer.convert_ids_to_tokens(i) for i in ids["A"]} == {"▁A"}
    assert not set(ids["A"]) & set(ids["B"])


def test_a_tokenizer_without_a_letter_is_refused(lm):
    vocabulary = json.loads(lm.tokenizer.backend_tokenizer.to_str())
    vocabulary["model"]["vocab"] = {("@" if k == "B" else k): v for k, v in vocabulary["model"]["vocab"].items()}
    vocabulary["model"]["merges"] = []
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(vocabulary)), chat_template=CHATML.jinja
    )
    with pytest.raises(ValueError, match="'nameless' has no single token that is the letter B"):
        AIJudge(LM("nameless", lm.model, tokenizer), [PRINCIPLE])


@pytest.mark.parametrize("kind", ["lm", "hub"])
def test_the_odds_are_those_of_each_conversation_alone(kind, request, capsys):
    one = request.getfixturevalue(kind)
    talks = [follow_up(pair_messages(PRINCIPLE, p.text, a, b), "Both are well.", SHORT.choice) for p, a, b in PAIRS]
    together = letter_odds(one, talks)
    ids = letter_ids(one)
    for talk, odds in zip(talks, together, strict=True):
        tokens = one.tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_dict=True)["input_ids"]
        with torch.no_grad():
            p = one.model(torch.tensor([tokens])).logits[0, -1].softmax(-1)
        expected = (p[ids["A"]].sum() / p[ids["B"]].sum()).log()
        assert odds == pytest.approx(float(expected), abs=1e-4)
    assert "Say more clearly in the protocol" in capsys.readouterr().out  # a random model says anything


# --- judging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "protocol"), [("lm", SHORT), ("lm", IN_FULL), ("hub", IN_FULL)])
def test_swapped_pairs_get_the_opposite_label(kind, protocol, request):
    judge = AIJudge(request.getfixturevalue(kind), [PRINCIPLE, "Prefer the answer that is short."], protocol)
    one, other = judge.log_odds(PAIRS), judge.log_odds([Pair(p, b, a) for p, a, b in PAIRS])
    assert one == pytest.approx([-odds for odds in other], abs=1e-4)
    assert len({round(odds, 4) for odds in one}) == len(PAIRS)


def test_the_first_judgement_has_the_answers_in_the_order_given(lm):
    judge = AIJudge(lm, [PRINCIPLE])
    talks = judge.transcripts(PRINCIPLE, PAIRS)
    assert [one.given for one in judge.judgements(PRINCIPLE, PAIRS)] == pytest.approx(letter_odds(lm, talks), abs=1e-4)
    assert "\nA: The capital of Peru is Lima.\nB: Lima.\n" in talks[0][0]["content"]
    assert [turn["role"] for turn in talks[0]] == ["user", "assistant", "user"]


def test_principles_count_alike(lm):
    other = "Prefer the answer that is short."
    both, one, two = (AIJudge(lm, list(c)).log_odds(PAIRS) for c in ([PRINCIPLE, other], [PRINCIPLE], [other]))
    assert both == pytest.approx([(x + y) / 2 for x, y in zip(one, two, strict=True)], abs=1e-4)


def test_the_reference_is_what_its_author_answers(lm):
    judge = AIJudge(lm, [PRINCIPLE], author=lm)
    said = judge.references([PERU, ITALY, PERU])
    assert said[0] == said[2] and judge.transcripts(PRINCIPLE, PAIRS[:1])[0][0]["content"].count(said[0])
    assert AIJudge(lm, [PRINCIPLE]).references([PERU]) == [""]


def test_labels_are_preference_records_with_a_soft_label(lm):
    judge = AIJudge(lm, [PRINCIPLE])
    odd = [Pair(PERU, "Lima.", "Lima."), Pair(PERU, " ", "Lima.")]
    records, counts = judge.label([*odd, *PAIRS])
    assert counts == {"labelled": 3, "tie": 0, "identical": 1, "empty": 1}
    assert not any(check(record, "preference") for record in records)
    for record, pair, odds in zip(records, PAIRS, judge.log_odds(PAIRS), strict=True):
        assert record["chosen"] == (pair.a if odds > 0 else pair.b)
        assert record["probability"] == pytest.approx(probability(abs(odds)), abs=1e-3) and record["probability"] >= 0.5


@pytest.mark.parametrize("constitution", [[], "Prefer the answer that is true.", [PRINCIPLE, " "]])
def test_a_constitution_is_a_list_of_sentences(lm, constitution):
    with pytest.raises(ValueError, match="give a list of sentences"):
        AIJudge(lm, constitution)


def test_a_base_model_is_no_judge(lm):
    tokenizer = build_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match=r"'bare' has no chat template.*Take an instruction model"):
        AIJudge(LM("bare", lm.model, tokenizer), [PRINCIPLE])


def test_an_answer_that_does_not_fit_is_refused(lm):
    with pytest.raises(ValueError, match="exceeds the model's context"):
        AIJudge(lm, [PRINCIPLE]).judgements(PRINCIPLE, [Pair(PERU, "word " * 600, "Lima.")])


def logp_of(lm, talk, said):
    """The sum over the tokens of the assistant's last turn, by hand."""
    encoded = CHATML.encode(lm.tokenizer, [*talk, {"role": "assistant", "content": said}])
    with torch.no_grad():
        logps = lm.model(torch.tensor([encoded.input_ids])).logits[0].log_softmax(-1)
    start = len(CHATML.encode(lm.tokenizer, talk, add_generation_prompt=True).input_ids)
    places = [i for i, mine in enumerate(encoded.assistant_mask) if mine and i >= start]
    return sum(float(logps[i - 1, encoded.input_ids[i]]) for i in places)


SAID = {PRINCIPLE: "A is wrong."}


def test_rewriting_reads_how_likely_the_same_answer_is_after_an_objection(lm):
    judge = AIJudge(lm, [PRINCIPLE], author=lm, reading="rewriting", objections=SAID)
    [a, b] = judge.keeping(PRINCIPLE, [PERU, PERU], [PAIRS[0].a, PAIRS[0].b])
    asked = single_messages(PRINCIPLE, PERU.text, PAIRS[0].a, judge.references([PERU])[0])
    assert a == pytest.approx(logp_of(lm, follow_up(asked, "A is wrong.", SHORT.again), PAIRS[0].a), abs=1e-3)
    assert judge.log_odds(PAIRS[:1]) == pytest.approx([a - b], abs=1e-3)
    assert judge.label(PAIRS).counts["labelled"] == 3 and judge.log_odds([]) == []


def test_verdicts_hold_praise_against_the_objection(lm):
    judge = AIJudge(lm, [PRINCIPLE], reading="verdicts", objections=SAID)
    [found] = judge.verdicts(PRINCIPLE, [PERU], ["Lima."])
    asked = single_messages(PRINCIPLE, PERU.text, "Lima.")
    assert found == pytest.approx(logp_of(lm, asked, "A is good.") - logp_of(lm, asked, "A is wrong."), abs=1e-3)


def test_each_principle_is_read_in_its_own_way(lm):
    other = "Prefer the answer that is short."
    how = {PRINCIPLE: "verdicts", other: "rewriting"}
    held = SAID | {other: "A is too long."}
    mixed = AIJudge(lm, [PRINCIPLE, other], reading=how, objections=held).log_odds(PAIRS)
    alone = [AIJudge(lm, [p], reading=how[p], objections=held).log_odds(PAIRS) for p in how]
    assert mixed == pytest.approx([(x + y) / 2 for x, y in zip(*alone, strict=True)], abs=1e-4)


def test_readings_have_names_and_need_an_objection(lm):
    with pytest.raises(ValueError, match="no reading 'tea leaves'; choose among letters, verdicts, rewriting"):
        AIJudge(lm, [PRINCIPLE], reading="tea leaves")
    with pytest.raises(ValueError, match=r"no objection for 'Prefer .*such as 'A is wrong\.'"):
        AIJudge(lm, [PRINCIPLE], reading="verdicts").log_odds(PAIRS)


# --- critique and revision --------------------------------------------------------------------------------------------


class Scripted(AIJudge):
    """A judge whose revisions add the principle's place, so that a test sees which were applied, and in which order."""

    def revisions(self, principle, prompts, texts):
        return [""] * len(texts), [f"{text}{self.constitution.index(principle)}" for text in texts]


def test_every_principle_revises_in_order(lm):
    judge = Scripted(lm, [PRINCIPLE, "Be short.", "Be kind."])
    assert revise(judge, [PERU, ITALY], ["x", "y"]) == ["x012", "y012"]
    assert revise(judge, [PERU, ITALY], ["x", " "]) == ["x012", " "]  # there is nothing to revise


@pytest.mark.parametrize(("kind", "protocol"), [("lm", SHORT), ("hub", IN_FULL)])
def test_critique_and_revision_are_written_for_each_answer(kind, protocol, request):
    judge = AIJudge(request.getfixturevalue(kind), [PRINCIPLE], protocol, max_new_tokens=6)
    prompts, texts = [PERU, ITALY], ["It is Rome.", "Rome."]
    said, new = judge.revisions(PRINCIPLE, prompts, texts)
    assert len(said) == len(new) == 2 and all(new)
