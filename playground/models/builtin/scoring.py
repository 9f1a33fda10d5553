"""Loads a built-in model and completes prompts with it; it does not know what a good answer is."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from .corpus import Conversation

BATCH = 25


@dataclass
class Reply:
    """A completion and whether the model ended it by itself."""

    text: str
    stopped: bool


@dataclass
class Subject:
    """A model under evaluation with a count of how often it stopped by itself."""

    model: torch.nn.Module
    tokenizer: object
    replies: list[Reply] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> "Subject":
        """Load a model in single precision, the fastest one on a CPU."""
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        return cls(model, AutoTokenizer.from_pretrained(folder, padding_side="left"))

    @torch.no_grad()
    def complete(self, prompts: list[str], length: int = 40, **options) -> list[Reply]:
        """Continue each prompt, greedily unless the options say otherwise."""
        options = {"do_sample": False, **options}
        replies = []
        for first in range(0, len(prompts), BATCH):
            part = prompts[first : first + BATCH]
            given = self.tokenizer(part, return_tensors="pt", padding=True)
            made = self.model.generate(**given, max_new_tokens=length, **options)
            for ids in made[:, given["input_ids"].shape[1] :]:
                replies.append(self._reply(ids.tolist()))
        self.replies += replies
        return replies

    def _reply(self, ids: list[int]) -> Reply:
        ends = self.model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        stop = next((place for place, token in enumerate(ids) if token in ends), None)
        text = self.tokenizer.decode(ids[:stop])
        return Reply(text, stop is not None)

    def answer(self, chats: list[Conversation], length: int = 200, **options) -> list[Reply]:
        """Answer each conversation, greedily unless the options say otherwise."""
        prompts = [
            self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        return self.complete(prompts, length, **options)

    @torch.no_grad()
    def next_tokens(self, prompt: str, count: int = 10) -> list[tuple[str, float]]:
        """Return the most likely next tokens with their probabilities."""
        given = self.tokenizer(prompt, return_tensors="pt")
        best = self.model(**given).logits[0, -1].softmax(-1).topk(count)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self.tokenizer.decode([token]), value) for token, value in pairs]

    def variety(self, prompts: list[str], length: int = 40) -> int:
        """Count the prompts that greedy, beams and three seeds continue in five different ways."""
        different = 0
        for prompt in prompts:
            texts = [self.complete([prompt], length)[0].text]
            texts.append(self.complete([prompt], length, num_beams=4)[0].text)
            for seed in range(3):
                torch.manual_seed(seed)
                reply = self.complete([prompt], length, do_sample=True, temperature=1.0, top_k=0)
                texts.append(reply[0].text)
            different += len(set(texts)) == 5
        return different


def turn(*contents: str, system: str = "") -> Conversation:
    """Build a conversation from alternating user and assistant texts."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(contents)]
    return [{"role": "system", "content": system}, *messages] if system else messages
