"""What each preset strategy does, its formula, its paper and where it fails; it decodes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHARED = "Shares every forward with the other lanes."


@dataclass(frozen=True, slots=True)
class StrategyNote:
    """A strategy for somebody who meets it for the first time.

    ``does`` are two plain lines; ``formula`` is plain text, in which p is the probability the model
    gives a token and z its logit; ``paper`` says authors, year and title, ``arxiv`` the id where
    there is one; ``fails`` is one line; ``batch`` says what it shares with the lanes beside it.
    """

    name: str
    group: str
    does: tuple[str, str]
    formula: str
    paper: str
    fails: str
    arxiv: str = ""
    batch: str = SHARED


_NOTES = (
    StrategyNote(
        "Greedy", "Search",
        ("Always takes the token that the model finds likeliest.",
         "No dice: the same prompt gives the same text every time."),
        "x = argmax p",
        "Gu, Cho, Li 2017, Trainable Greedy Decoding for Neural Machine Translation",
        "Runs into loops, and cannot take a step back for a better sentence.",
        "1702.02429",
    ),
    StrategyNote(
        "Beam search", "Search",
        ("Keeps several texts at once and drops the least likely after each token.",
         "Finds a likelier whole text than greedy, which looks one token ahead."),
        "keep the k texts with the largest  Σ log p\nanswer = argmax  Σ log p / length^penalty",
        "Sutskever, Vinyals, Le 2014, Sequence to Sequence Learning with Neural Networks",
        "Open-ended text becomes short, bland and repetitive: people rarely write the likeliest.",
        "1409.3215", "Shares the forwards, with a row for each beam.",
    ),
    StrategyNote(
        "Diverse beam search", "Search",
        ("Beam search in groups; a group is fined for tokens that earlier groups took.",
         "Its candidates differ from each other instead of in one word."),
        "score = log p − λ · (earlier groups that chose this token now)",
        "Vijayakumar, Cogswell, Selvaraju et al. 2016, Diverse Beam Search: Decoding Diverse "
        "Solutions from Neural Sequence Models",
        "A large λ buys difference with worse text; groups agree again once their texts differ.",
        "1610.02424", "Shares the forwards, with a row for each beam.",
    ),
    StrategyNote(
        "Beam sampling", "Search",
        ("Beam search whose next texts are drawn by lot, without putting one back.",
         "Varies from seed to seed and still weighs whole texts."),
        "draw k of all continuations by  exp(Σ log p);  keep them as beams",
        "Kool, van Hoof, Welling 2019, Stochastic Beams and Where to Find Them (of this family; "
        "the procedure here is that of transformers)",
        "The best beam soon leads so far that the dice rarely matter.",
        "1903.06059", "Shares the forwards, with a row for each beam.",
    ),
    StrategyNote(
        "Contrastive search", "Search",
        ("Among the k likeliest takes one that is unlike the text so far.",
         "No dice, and yet few loops: repeating means a similar hidden state."),
        "x = argmax over top-k  (1 − α) · p − α · max cos(h, earlier h)",
        "Su, Lan, Wang et al. 2022, A Contrastive Framework for Neural Text Generation",
        "Models whose hidden states all look alike; α near 1 wanders off the subject.",
        "2202.06417", "Shares the forwards, with a row for each of the k candidates.",
    ),
    StrategyNote(
        "Pure sampling", "Temperature",
        ("Draws from the model's own distribution, exactly as it is.",
         "What the model believes, long tail of nonsense included."),
        "x ~ p",
        "Shannon 1948, A Mathematical Theory of Communication",
        "Sooner or later it draws from the tail, and the text never recovers.",
    ),
    StrategyNote(
        "Temperature 0.7", "Temperature",
        ("Sharpens the distribution before the draw: likely tokens become likelier.",
         "Between greedy (towards 0) and pure sampling (1)."),
        "p′ ∝ exp(z / T),  T = 0.7",
        "Ackley, Hinton, Sejnowski 1985, A Learning Algorithm for Boltzmann Machines",
        "The tail gets thinner and does not go; low values loop as greedy does.",
    ),
    StrategyNote(
        "Temperature 1.5", "Temperature",
        ("Flattens the distribution before the draw: rare tokens get a chance.",
         "Shows what a model falls into when it is pushed off its path."),
        "p′ ∝ exp(z / T),  T = 1.5",
        "Ackley, Hinton, Sejnowski 1985, A Learning Algorithm for Boltzmann Machines",
        "Thousands of bad tokens share the gain, so words fall apart.",
    ),
    StrategyNote(
        "Top-k", "Cut the tail",
        ("Draws among the k likeliest tokens only.",
         "The oldest cure for the tail: everything below rank k is out."),
        "keep the k largest p",
        "Fan, Lewis, Dauphin 2018, Hierarchical Neural Story Generation",
        "k is the same where one token is possible and where a thousand are.",
        "1805.04833",
    ),
    StrategyNote(
        "Top-p", "Cut the tail",
        ("Draws among the likeliest tokens that together hold probability p (the nucleus).",
         "Few when the model is sure, many when it is not."),
        "keep the smallest set, likeliest first, with  Σ p ≥ 0.9",
        "Holtzman, Buys, Du et al. 2019, The Curious Case of Neural Text Degeneration",
        "In a flat distribution the nucleus still holds thousands of odd tokens.",
        "1904.09751",
    ),
    StrategyNote(
        "Min-p", "Cut the tail",
        ("Draws among tokens that have at least a share of the likeliest one's probability.",
         "The bar rises with the model's certainty."),
        "keep  p ≥ 0.1 · max p",
        "Nguyen, Baker, Neo et al. 2024, Turning Up the Heat: Min-p Sampling for Creative and "
        "Coherent LLM Outputs",
        "One token of 95 % leaves it alone, so facts the model has wrong stay wrong.",
        "2407.01082",
    ),
    StrategyNote(
        "Typical", "Cut the tail",
        ("Draws among tokens whose surprise is near what the model expects on average.",
         "May drop the likeliest token, as people do when it says nothing."),
        "keep the nearest to the entropy by  |−log p − H|  until  Σ p ≥ 0.9",
        "Meister, Pimentel, Wiher, Cotterell 2022, Locally Typical Sampling",
        "Where only one answer is right it can leave that answer out.",
        "2202.00666",
    ),
    StrategyNote(
        "Epsilon", "Cut the tail",
        ("Draws among tokens with at least a fixed small probability.",
         "A floor, whatever the shape of the distribution."),
        "keep  p ≥ ε,  ε = 0.0009",
        "Hewitt, Manning, Liang 2022, Truncation Sampling as Language Model Desmoothing",
        "Where very many words fit, each lies near the floor and good ones go.",
        "2210.15191",
    ),
    StrategyNote(
        "Eta", "Cut the tail",
        ("Epsilon with a floor that sinks where the model is unsure.",
         "Lets many words stand where many fit."),
        "keep  p ≥ min(ε, √ε · e^−H),  ε = 0.002",
        "Hewitt, Manning, Liang 2022, Truncation Sampling as Language Model Desmoothing",
        "Small models are unsure where they should not be, and get a floor that is too low.",
        "2210.15191",
    ),
    StrategyNote(
        "Top-h", "Cut the tail",
        ("Keeps the likeliest tokens until their own entropy reaches a share of the whole.",
         "Bounds the randomness of the draw instead of its probability."),
        "keep the likeliest with  H(kept) ≤ 0.4 · H(all)",
        "Potraghloo, Azizi, Kundu, Pedram 2025, Top-H Decoding: Adapting the Creativity and "
        "Coherence with Bounded Entropy in Text Generation",
        "In a certain step little entropy is left to share, and it becomes greedy.",
        "2509.02510",
    ),
    StrategyNote(
        "Top-n-sigma", "Cut the tail",
        ("Keeps tokens whose logit lies within n standard deviations of the best.",
         "The same tokens at any temperature, as it looks at logits."),
        "keep  z ≥ max z − n · σ(z),  n = 1",
        "Tang, Liu, Xu, Huang 2024, Top-nσ: Not All Logits Are You Need",
        "It takes the logits' noise for a bell curve; a model with another shape is cut wrongly.",
        "2411.07641",
    ),
    StrategyNote(
        "XTC", "Steer",
        ("Now and then leaves out the likeliest tokens, all but the last that is likely enough.",
         "Breaks clichés where there are good alternatives, and only there."),
        "with chance 0.5: of all  p ≥ 0.1  only the least likely stays",
        "p-e-w 2024, Exclude Top Choices (XTC), text-generation-webui pull request 6335",
        "Leaves out the one right word when a wrong one is likely too.",
    ),
    StrategyNote(
        "Mirostat", "Steer",
        ("Steers the surprise of the text to a target, and cuts more or less for it.",
         "A thermostat: after a surprising token it turns down."),
        "keep  −log₂ p ≤ μ;  then  μ ← μ − η · (s − τ),  τ = 3 bits",
        "Basu, Ramachandran, Keskar, Varshney 2020, Mirostat: A Neural Text Decoding Algorithm "
        "that Directly Controls Perplexity",
        "Short answers end before it has settled; one target fits no whole text.",
        "2007.14966",
    ),
    StrategyNote(
        "DRY", "Against repetition",
        ("Fines a token that would go on with a run of tokens that stood before.",
         "The longer the repeated run, the harder the fine; single words are free."),
        "z′ = z − m · b^(n − a)  for a repeated run of n ≥ a tokens",
        "p-e-w 2024, DRY (Don't Repeat Yourself), text-generation-webui pull request 5677",
        "Long names and quotations that should come again are bent.",
    ),
    StrategyNote(
        "Repetition penalty", "Against repetition",
        ("Greedy, with every token that was seen already made less likely.",
         "Counts the prompt too, and does not ask how often."),
        "z′ = z / r  if z > 0,  else z · r,  r = 1.2",
        "Keskar, McCann, Varshney et al. 2019, CTRL: A Conditional Transformer Language Model for "
        "Controllable Generation",
        "Also fines commas, articles and the subject; long texts run out of words.",
        "1909.05858",
    ),
    StrategyNote(
        "No-repeat n-gram", "Against repetition",
        ("Greedy, but no three tokens may come in the same order twice.",
         "A hard ban: what would complete a known triple is out."),
        "p = 0  for a token that would complete an n-gram of the text,  n = 3",
        "Paulus, Xiong, Socher 2017, A Deep Reinforced Model for Abstractive Summarization",
        "A name of three tokens can be written once only.",
        "1705.04304",
    ),
    StrategyNote(
        "DoLa", "Contrast",
        ("Prefers what the last layer knows and an earlier layer did not.",
         "Meant to bring facts up, which late layers add."),
        "score = log p(last layer) − log p(earlier layer),  where p ≥ 0.1 · max p",
        "Chuang, Xie, Luo et al. 2023, DoLa: Decoding by Contrasting Layers Improves Factuality in "
        "Large Language Models",
        "Small models have no such late facts; without a repetition penalty it loops.",
        "2309.03883",
    ),
    StrategyNote(
        "Guidance", "Contrast",
        ("Also reads the text without your prompt, and steers away from what it would say then.",
         "Classifier-free guidance: holds on to the prompt more firmly."),
        "log p′ ∝ log q + γ · (log p − log q),  q without the prompt,  γ = 1.5",
        "Sanchez, Fan, Spangher et al. 2023, Stay on topic with Classifier-Free Guidance",
        "Twice the work; a large γ repeats the prompt's words.",
        "2306.17806", "Shares the forwards, with a second row for the text without the prompt.",
    ),
    StrategyNote(
        "Prompt lookup", "Speed",
        ("Proposes what followed the same words earlier, and reads the proposal in one go.",
         "The text is greedy's, token for token; only the work is less."),
        "accept proposed tokens while  proposed = argmax p",
        "Saxena 2023, Prompt Lookup Decoding; Leviathan, Kalman, Matias 2022, Fast Inference from "
        "Transformers via Speculative Decoding",
        "A text that never repeats its prompt has nothing to propose.",
        "2211.17192",
        "Cannot share: it reads several tokens of one text at a time, so it has forwards of its "
        "own.",
    ),
    StrategyNote(
        "Without KV cache", "Speed",
        ("Greedy that reads its whole text again for every new token.",
         "Beside greedy it shows what the cache saves: open Time per step in both lanes."),
        "cost of token n:  n tokens read, where a cache reads 1",
        "Pope, Douglas, Chowdhery et al. 2022, Efficiently Scaling Transformer Inference",
        "Every token costs more than the one before it; the text is the same.",
        "2211.05102",
        "Cannot share: it reads all of its text while the others read one token.",
    ),
)

NOTES: Mapping[str, StrategyNote] = {note.name: note for note in _NOTES}
CLASSIC_SIX = ("Greedy", "Beam search", "Pure sampling", "Temperature 0.7", "Top-k", "Top-p")
