"""Lists prompts that the page offers or that variety is measured on; it knows no answers."""

BASE_PROMPTS = (
    "The capital of France is",
    "Once upon a time",
    "Once upon a time, in a small village,",
    "Once upon a time there was a little dragon named",
    "The opposite of hot is",
    "A token is",
    "Roses are red,",
    "hello,how are you",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "《梦游天姥吟留别》的作者是谁",
    "def add(a, b):",
)
# Open-ended ones: after "Roses are red," there is little to choose from.
VARIED_BASE_PROMPTS = (
    "Once upon a time",
    "Once upon a time there was a little dragon named",
    "Once upon a time, in a small village,",
    "One day",
    "Long ago",
    "Dear Sarah,",
    "Tell me a short story about a fox.",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "从前，",
    "The capital of",
)
CHAT_PROMPTS = (
    "What is the capital of France?",
    "Who wrote 《梦游天姥吟留别》?",
    "《梦游天姥吟留别》的作者是谁",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "Tell me a short story about a fox.",
    "Tell me a story about a dragon named Zara.",
    "What is temperature?",
    "What is beam search?",
    "hello,how are you",
    "What is 2 + 3?",
    "What is the meaning of life?",
    "Write a haiku.",
    "Name three fruits.",
)
VARIED_CHAT_PROMPTS = (
    "Tell me a short story about a fox.",
    "Tell me a story about a dragon named Zara.",
    "Tell me a story.",
    "Write a short story about a bear.",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "Write an email inviting Tom to a picnic.",
    "Write an email thanking Lucy for the book.",
    "Name four animals.",
    "讲一个故事。",
    "Tell me a joke.",
)
MASKED_PROMPTS = (
    "The capital of France is [MASK].",
    "The opposite of hot is [MASK].",
    "The fisherman sat on the [MASK] of the river.",
    "She took her money to the [MASK].",
    "The sky is [MASK].",
    "The [MASK] struck a match and lit the candle.",
)
KNOWN_NAMES = ("Mia", "Sarah", "Tom", "Lucy", "Max", "Anna", "Oscar", "Nina")
