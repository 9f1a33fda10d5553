"""A LoRA adapter as a sibling of a loaded model: a second tree of modules over the same weights.

The tree is copied and the tensors are shared, so base and adapter decode side by side, each in its
own loop, with nothing to be switched between their steps; an adapter costs its own few bytes.

Nothing that a repository says is matched as a pattern or imported: which modules are changed is
read from the names of its tensors, and every tensor must fit the module that it is for. What cannot
be known beforehand is its chat template: it runs in the process that it shares with its base.
"""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.pytorch_utils import Conv1D

from playground.core.run import ModelSpec
from playground.errors import ModelInvalid, ModelUnsafe
from playground.models.checks import UNSAFE_KEYS, check_files, read_json
from playground.models.loading import Model
from playground.models.reading import LOAD_FAULTS, ONE_LOAD_AT_A_TIME, invalid, too_big

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LARGEST_RANK = 4096
_NAME = "adapter"
_PREFIX = "base_model.model."
_PART = re.compile(r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
                   r"(?:\.weight)?")
_PLAIN = re.compile(r"[\w.]{1,200}")

# What says how the adapter was made, or is read from its tensors.
_OF_NO_MATTER = {
    "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying",
    "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern",
    "layers_to_transform", "lora_dropout", "lora_ga_config", "loftq_config", "megatron_core",
    "modules_to_save", "peft_version", "qalora_group_size", "r", "rank_pattern", "revision",
    "runtime_config", "target_modules", "task_type",
}
_USED = {"peft_type", "lora_alpha", "alpha_pattern", "use_rslora", "use_dora", "init_lora_weights"}
# The others (pissa, olora, corda, loftq) change the base's own weights.
_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an adapter does: the ``rank`` of its change to each module, and ``whole`` weights that
    it brings in place of the base's, by name."""

    settings: Mapping[str, Any]
    ranks: Mapping[str, int]
    tensors: Mapping[str, torch.Tensor]
    whole: Mapping[str, torch.Tensor]


def attach(base: Model, spec: ModelSpec, folder: str | Path) -> Model:
    """The adapter in ``folder`` on top of ``base``, which stays as it is and may be in use.

    Raises ModelInvalid, ModelUnsafe or OutOfMemory in sentences that name the file and field.
    """
    base.check_decodes()
    where = Path(folder)
    if where.is_dir():
        check_files(where, (".json", ".jinja", ".safetensors"), field="adapter")
    told = _config(where)
    plan = planned(base.lm, told, _tensors(where))
    notices = [*_about_base(spec, told)]
    try:
        # Layers that are made while another model is loaded would be of that model's dtype.
        with ONE_LOAD_AT_A_TIME:
            tree = sibling(base.lm)
            _replace_whole(tree, plan)
            if plan.ranks:
                _inject(tree, plan)
        tree.eval().requires_grad_(False)
    except (torch.OutOfMemoryError, MemoryError):
        raise too_big(spec, base.lm.device) from None
    except LOAD_FAULTS as fault:
        raise invalid("The adapter cannot be put on its base", fault, "adapter") from None
    tokenizer = _with_template(base.tokenizer, where, notices)
    own = {id(p) for p in base.lm.parameters()}
    added = [p for p in tree.parameters() if id(p) not in own]
    card = replace(
        base.card,
        spec=spec,
        parameters=sum(p.numel() for p in added),
        bytes=sum(p.nbytes for p in added),
        has_chat_template=bool(tokenizer.chat_template),
        notices=tuple(notices),
        suggested=(),
    )
    return Model(spec, tree, tokenizer, card)


def sibling(lm: Any) -> Any:
    """Another tree of the same modules over the same tensors: no weight is copied."""
    shared: dict[int, Any] = {id(t): t for t in (*lm.parameters(), *lm.buffers())}
    for module in lm.modules():
        for value in vars(module).values():
            # Inside it lies, for example, the state that bitsandbytes keeps of int8 weights.
            inner = getattr(value, "__dict__", {}).values()
            shared |= {id(one): one for one in (value, *inner) if isinstance(one, torch.Tensor)}
    return copy.deepcopy(lm, shared)


def _config(folder: Path) -> dict[str, Any]:
    """The settings of a LoRA adapter, after all that can be refused by reading them."""
    told = read_json(folder, CONFIG) if folder.is_dir() else None
    if told is None:
        raise _refused(f"{folder.name} is no adapter: it has no {CONFIG}.", given=folder.name)
    for key in sorted(UNSAFE_KEYS & told.keys()):
        if told[key] not in (None, False):
            raise ModelUnsafe(
                f"{CONFIG} asks for code that comes with the adapter (the key {key}); "
                "it is never run.",
                field="adapter", given=key, advice="Choose an adapter without it.",
            )
    kind = told.get("peft_type")
    if kind != "LORA":
        raise _refused(f"This adapter is {kind!r}; only LoRA adapters can be loaded.",
                       given=kind, allowed="LORA")
    for key, value in told.items():
        if key not in _OF_NO_MATTER | _USED | UNSAFE_KEYS and value not in (None, False, [], {}):
            raise _refused(f"{CONFIG} asks for {key[:60]!r}, which cannot be done here.", given=key)
    if told.get("init_lora_weights") not in _STARTS:
        raise _refused(
            f"{CONFIG} says that training began with {str(told['init_lora_weights'])[:40]!r}, "
            "which changed the base's own weights, so it does not fit the base as it is.",
            given=told["init_lora_weights"],
            advice="Choose one that was converted to plain LoRA.",
        )
    alphas = told.get("alpha_pattern") or {}
    if not isinstance(alphas, dict) or not all(_PLAIN.fullmatch(name) for name in alphas):
        raise _refused(f"alpha_pattern in {CONFIG} must name modules plainly, without patterns.")
    for alpha in (told.get("lora_alpha", 8), *alphas.values()):
        number = isinstance(alpha, (int, float)) and not isinstance(alpha, bool)
        if not number or not math.isfinite(alpha) or abs(alpha) > 1e6:
            raise _refused(f"lora_alpha in {CONFIG} must be a number.", given=alpha)
    return told


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The adapter's tensors by name, on the host, without the prefix that peft writes."""
    file = folder / WEIGHTS
    if not file.is_file():
        if any(folder.glob("adapter_model.*")):
            raise ModelUnsafe(
                f"{folder.name} has its weights as a pickle file only, which can run any code; "
                "it is never opened.",
                field="adapter", advice=f"Choose an adapter with {WEIGHTS}.",
            )
        raise _refused(f"{folder.name} has no {WEIGHTS}.", given=folder.name)
    try:
        found = load_file(file)
    except (SafetensorError, OSError, ValueError) as fault:
        raise invalid(f"{WEIGHTS} cannot be read", fault, "adapter") from None
    return {name.removeprefix(_PREFIX): tensor for name, tensor in found.items()}


def planned(lm: Any, told: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Plan:
    """Which modules of ``lm`` the tensors change, after checking that each fits its module.

    Raises ModelInvalid, naming the tensor.
    """
    modules = dict(lm.named_modules())
    parameters = dict(lm.named_parameters(remove_duplicate=False))
    parts: dict[str, dict[str, torch.Tensor]] = {}
    whole: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise _refused(f"{name} in {WEIGHTS} holds NaN, infinity or no floating numbers.")
        if found := _PART.fullmatch(name):
            parts.setdefault(found[1], {})[found[2]] = tensor
            continue
        plain = name.replace(".base_layer.", ".").replace(".modules_to_save.", ".")
        target = parameters.get(plain)
        if target is None or hasattr(target, "quant_state") or target.shape != tensor.shape:
            raise _refused(
                f"{name} in {WEIGHTS} fits no weight of the base.", given=name,
                advice="Choose the base that the adapter was trained on.",
            )
        whole[plain] = tensor
    ranks = {name: _rank(name, modules.get(name), found) for name, found in parts.items()}
    if not ranks and not whole:
        raise _refused(f"{WEIGHTS} is empty, so the adapter changes nothing.")
    return Plan(told, ranks, {n: t for n, t in tensors.items() if _PART.fullmatch(n)}, whole)


def _rank(name: str, module: Any, found: Mapping[str, torch.Tensor]) -> int:
    """The rank of the change to one module, whose two matrices must fit it and each other."""
    if module is None:
        raise _refused(
            f"The adapter changes {name[:100]}, which the base does not have.", given=name,
            advice="Choose the base that the adapter was trained on.",
        )
    embedding = isinstance(module, torch.nn.Embedding)
    down, up = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A", "lora_B")
    if not {down, up} <= found.keys() <= {down, up, "lora_magnitude_vector"}:
        raise _refused(f"The change to {name} is incomplete in {WEIGHTS}.", given=name)
    sizes = _sizes(module)
    first, second = found[down].shape, found[up].shape
    rank = first[0] if len(first) == 2 else 0
    if not 1 <= rank <= LARGEST_RANK or sizes is None or (
        (*first, *second) != (rank, sizes[0], sizes[1], rank)
    ):
        shapes = f"{list(first)} and {list(second)}"
        wanted = f"[r, {sizes[0]}] and [{sizes[1]}, r]" if sizes else "none"
        raise _refused(
            f"The change to {name} has matrices of {shapes}; this base needs {wanted}.",
            given=shapes, allowed=wanted, advice="Choose the base that it was trained on.",
        )
    return rank


def _sizes(module: Any) -> tuple[int, int] | None:
    """How many numbers go into a module and come out; None where LoRA knows no way to change it."""
    if isinstance(module, torch.nn.Embedding):
        return module.num_embeddings, module.embedding_dim
    if isinstance(module, Conv1D):
        return module.nx, module.nf
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    return None


def _replace_whole(tree: Any, plan: Plan) -> None:
    """Weights that were trained as a whole take the place of the base's in this tree alone."""
    for name, tensor in plan.whole.items():
        owner, _, short = name.rpartition(".")
        module = tree.get_submodule(owner)
        old = getattr(module, short)
        new = tensor.to(device=old.device, dtype=old.dtype)
        module._parameters[short] = torch.nn.Parameter(new, requires_grad=False)


def _inject(tree: Any, plan: Plan) -> None:
    """Let peft put its layers into the tree and fill them."""
    usual = Counter(plan.ranks.values()).most_common(1)[0][0]
    told = plan.settings
    targets = [tree.get_submodule(name) for name in plan.ranks]
    config = LoraConfig(
        r=usual,
        lora_alpha=told.get("lora_alpha", 8),
        target_modules=list(plan.ranks),
        rank_pattern={re.escape(n): rank for n, rank in plan.ranks.items() if rank != usual},
        alpha_pattern=dict(told.get("alpha_pattern") or {}),
        use_rslora=told.get("use_rslora") is True,
        use_dora=told.get("use_dora") is True,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in targets),
        init_lora_weights=False,
        lora_dropout=0.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for whoever trains; the terminal is the app's
        inject_adapter_in_model(config, tree, _NAME)
        result = set_peft_model_state_dict(tree, dict(plan.tensors), _NAME)
    lost = [*result.unexpected_keys, *(k for k in result.missing_keys if f".{_NAME}" in k)]
    if lost:
        raise _refused(f"{lost[0]} of the adapter found no place in the base.", given=lost[0])


def _about_base(spec: ModelSpec, told: Mapping[str, Any]) -> list[str]:
    """A sentence where the adapter names another base than the one that it is put on."""

    def last(path: str) -> str:
        return path.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]

    named = told.get("base_model_name_or_path")
    if not isinstance(named, str) or not named or last(named).lower() == last(spec.repo).lower():
        return []
    return [f"The adapter was trained on {named[:100]}; here it is put on {spec.repo}."]


def _with_template(tokenizer: Any, folder: Path, notices: list[str]) -> Any:
    """The base's tokenizer, with the adapter's own chat template if it brings another."""
    file = folder / "chat_template.jinja"
    told: Any = None
    if file.is_file():
        told = file.read_text(encoding="utf-8", errors="replace")
    elif settings := read_json(folder, "tokenizer_config.json"):
        told = settings.get("chat_template")
    if not isinstance(told, str) or not told or told == tokenizer.chat_template:
        return tokenizer
    notices.append("The adapter brings its own chat template, which is used.")
    other = copy.copy(tokenizer)
    other.chat_template = told
    return other


def _refused(message: str, **more: Any) -> ModelInvalid:
    return ModelInvalid(message, field="adapter", **more)
