"""A plain sentence for each kind of module of a language model; it knows no model and no tensor.

A module is told by what it is to the model (its role), else by its name inside the module that it
lies in, else by its class. An unknown kind is said to be one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from playground.core.structure import Part

_ROLES = {
    "whole": "The whole model: from token ids to logits.",
    "base": "The model without its head: from token ids to one vector for each token, the last "
    "hidden state.",
    "trunk": "Holds the layers: from token ids to one vector for each token.",
    "layers": "The layers, which the text goes through one after another.",
    "layer": "One layer: it reads the hidden state, and adds what it finds to it.",
    "embedding": "A table with one row for each token of the vocabulary: looks the vector of each "
    "id up. Nothing is computed.",
    "head": "One row for each token of the vocabulary: compares the last hidden state with all of "
    "them, which gives every token its logit.",
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """Where all patterns that are given match: the module's name, its class, the class that it
    lies in."""

    says: str
    name: str = ""
    kind: str = ""
    within: str = ""

    def fits(self, part: Part, within: str) -> bool:
        pairs = ((self.name, part.name), (self.kind, part.kind), (self.within, within))
        return all(not pattern or re.search(pattern, text) for pattern, text in pairs)


_ATTENTION, _MLP = r"(?i)attention|attn", r"(?i)mlp|feedforward|expert|ffn"

_RULES = (
    # Adapters and quantization wrap other modules; what they are for is said by their name.
    _Rule("Of a LoRA adapter: squeezes the input to a few numbers.", name=r"^lora_A"),
    _Rule("Of a LoRA adapter: widens the few numbers again; what it gives is added.",
          name=r"^lora_B"),
    _Rule("One of a LoRA adapter's small matrices.", within=r"^ModuleDict$", kind=r"^Linear$"),
    _Rule("The base model's own weights, which the adapter leaves as they are.",
          name=r"^base_layer$"),
    # Inside attention.
    _Rule("Makes queries, keys and values of every token in one multiplication.",
          name=r"^(c_attn|query_key_value|qkv_proj|Wqkv|qkv|in_proj_qkv|att_proj)$"),
    _Rule("Makes the query of each token: what it looks for in other tokens.",
          name=r"^(q_proj|query|q_lin|wq|q_b_proj)$"),
    _Rule("Makes the key of each token: what it offers to be found by.",
          name=r"^(k_proj|key|k_lin|wk)$"),
    _Rule("Makes the value of each token: what it gives to those that attend to it.",
          name=r"^(v_proj|value|v_lin|wv)$"),
    _Rule("Squeezes the hidden state to few numbers, of which the queries are made.",
          name=r"^q_a_proj$"),
    _Rule("Squeezes the hidden state to the few numbers that the KV cache keeps (latent "
          "attention).", name=r"^kv_a_proj"),
    _Rule("Makes keys and values for all heads of the few numbers that are kept.",
          name=r"^kv_b_proj$"),
    _Rule("Normalizes each head's queries or keys before they are compared.",
          name=r"^(q_norm|k_norm|q_layernorm|k_layernorm|query_layernorm|key_layernorm)$"),
    _Rule("Mixes what the heads found back into the width of the hidden state.",
          name=r"^(o_proj|out_proj|out_lin|wo)$", within=_ATTENTION),
    _Rule("Mixes what the heads found back into the width of the hidden state.",
          name=r"^(c_proj|dense)$", within=r"(?i)attention|attn|selfoutput"),
    # Inside the MLP.
    _Rule("Makes gate and content of the MLP in one multiplication.", name=r"^gate_up_proj$"),
    _Rule("The MLP's gate: after the activation it says how much of each number passes.",
          name=r"^(gate_proj|w1)$"),
    _Rule("Widens the hidden state: the numbers that the gate lets pass.", name=r"^(up_proj|w3)$",
          within=_MLP),
    _Rule("Widens the hidden state before the activation.",
          name=r"^(c_fc|fc1|fc_in|dense_h_to_4h|up_proj|lin1|wi|dense)$",
          within=r"(?i)mlp|ffn|decoderlayer|block|feedforward|^(?!.*(output|pool|head|transform)).*"
          r"intermediate"),
    _Rule("Brings the widened numbers back into the width of the hidden state.",
          name=r"^(down_proj|c_proj|fc2|fc_out|dense_4h_to_h|w2|lin2)$"),
    _Rule("Brings the widened numbers back into the width of the hidden state.",
          name=r"^dense$", within=r"Output$"),
    # Experts.
    _Rule("The router: scores the experts for each token, and the best few are asked.",
          kind=r"(?i)router|topkgate"),
    _Rule("The router: scores the experts for each token, and the best few are asked.",
          name=r"^(gate|router)$", within=r"(?i)moe|sparse"),
    _Rule("Scales what the expert gives that is always asked.", name=r"^shared_expert_gate$"),
    _Rule("An MLP that every token goes through, beside those that the router picks.",
          name=r"^shared_(expert|mlp)"),
    _Rule("All experts: many MLPs, of which each token goes through a few. Their weights lie in "
          "stacked tensors.", kind=r"Experts$"),
    _Rule("A mixture of experts: a router and many MLPs, of which each token uses a few.",
          kind=r"(?i)(moe|sparsemlp)(block|layer)?$"),
    # State spaces and convolutions.
    _Rule("Makes what goes into the mixer, and its gate.", name=r"^in_proj",
          within=r"(?i)mamba|deltanet|mixer|shortconv|recurrent"),
    _Rule("Makes step size, input and output weights of the recurrence from each token.",
          name=r"^x_proj$"),
    _Rule("Makes the step size of the recurrence for each channel.", name=r"^dt_proj$"),
    _Rule("Brings what the mixer gives back into the width of the hidden state.",
          name=r"^out_proj$"),
    _Rule("A short convolution over the newest tokens, each channel by itself.", kind=r"^Conv1d$"),
    _Rule("A state-space mixer: instead of attention it keeps one state of fixed size, which each "
          "token changes.", kind=r"(?i)mamba\d*mixer|ssm"),
    _Rule("Linear attention: keeps one state of fixed size instead of a growing KV cache.",
          kind=r"(?i)deltanet|linearattention|lightning|recurrentblock|rwkv.*attention"),
    _Rule("A gated short convolution, in the place of attention.", kind=r"(?i)shortconv"),
    # Containers by class.
    _Rule("Cross-attention, to what an encoder read; without an encoder it is passed by.",
          name=r"^(encoder_attn|crossattention|cross_attn)$"),
    _Rule("Attention: each token gathers from the tokens that it can see, head by head.",
          kind=r"(?i)attention$|attn$"),
    _Rule("The MLP: works on each token by itself; most of a layer's weights are here.",
          kind=r"(?i)mlp$|feedforward$|ffn$"),
    # Norms by place.
    _Rule("The final norm: its output is what the head reads.",
          name=r"^(norm|norm_f|ln_f|final_layer_?norm|embedding_norm)$", kind=r"(?i)norm",
          within=r"(Model|Decoder|Transformer|Stack)$"),
    _Rule("Brings each token's vector to one length.", kind=r"(?i)norm"),
    # Embeddings and positions.
    _Rule("Computes cosine and sine by which queries and keys are turned, so that attention knows "
          "how far apart two tokens are. It has no weights.", kind=r"(?i)rotary"),
    _Rule("A learned vector for each position, added to that of the token.",
          name=r"^(wpe|position_embeddings|embed_positions|positions_embed)$"),
    _Rule("A learned vector for the first and the second of two texts, added to that of the token.",
          name=r"^token_type_embeddings$"),
    _Rule("The embeddings of token, place and segment, added and normalized.",
          kind=r"Embeddings$"),
    _Rule("A table of vectors: looks a row up for each number that it is given.",
          kind=r"Embedding$"),
    # Heads of encoders.
    _Rule("Reads the first token's vector as that of the whole text.", name=r"^pooler$"),
    _Rule("The head of masked-language modelling: guesses the token of each place.",
          kind=r"(?i)(lm|mlm).*head|predictionhead"),
    _Rule("Works on the last hidden state before it is compared with the vocabulary.",
          kind=r"(?i)headtransform"),
    # The rest, by class.
    _Rule("The activation function, a curve applied to each number by itself. It has no weights.",
          kind=r"(?i)activation|^silu$|gelu|relu|^tanh$|sigmoid"),
    _Rule("Drops random numbers while training; here it lets everything pass.", kind=r"Dropout"),
    _Rule("Lets everything pass as it is.", kind=r"^Identity$"),
    _Rule("A list of modules.", kind=r"^(ModuleList|ModuleDict|Sequential)$"),
    _Rule("A list of tensors.", kind=r"^Parameter(List|Dict)$"),
    _Rule("The whole of one layer's attention: heads, then what mixes them, then the norm.",
          name=r"^attention$"),
    _Rule("Adds what went past to what was computed, and normalizes.", kind=r"Output$"),
    _Rule("The MLP's first half.", kind=r"Intermediate$"),
)

# Said besides, by the class: how it computes, how its weights are kept.
_BESIDES = (
    (r"(?i)RMSNorm", "RMSNorm: divides by the root mean square, then scales each number."),
    (r"(?i)layer_?norm", "LayerNorm: subtracts the mean, divides by the standard deviation, then "
     "scales and shifts each number."),
    (r"^Linear4bit$", "Its weights are kept in 4 bits, two in a byte, with a scale for each block; "
     "they are unpacked for every multiplication."),
    (r"^Linear8bitLt$", "Its weights are kept in 8 bits with a scale for each row; unusually large "
     "inputs are multiplied in 16 bits."),
    (r"^Conv1D$", "GPT-2's Conv1D is a Linear whose weight lies the other way round: [in, out]."),
)


def note_of(part: Part, within: str = "") -> str:
    """What a module does; ``within`` is the class of the module that it lies in."""
    said = _ROLES.get(part.role, "")
    if not said:
        rule = next((rule for rule in _RULES if rule.fits(part, within)), None)
        said = rule.says if rule else _unknown(part)
    more = next((words for pattern, words in _BESIDES if re.search(pattern, part.kind)), "")
    return f"{said} {more}".strip()


def _unknown(part: Part) -> str:
    if part.kind in ("Linear", "Linear4bit", "Linear8bitLt", "Conv1D"):
        return f"A matrix multiplication; what it is for, its name {part.name!r} does not tell."
    return (
        f"{part.kind} is a kind of module that this page has no sentence for; its weights and "
        "shapes are shown all the same."
    )
