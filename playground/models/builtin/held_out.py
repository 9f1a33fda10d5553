"""Lists the wordings that the corpus must never contain; it does not know how they are scored.

They were written before the statements, questions, styles and conversations of the corpus and after
its tables, stories, letters and unknown questions. No wording was added to the corpus because of a
failure on one of them.
"""

# The next token after each of these is the capital.
BASE_CAPITALS = (
    "If you ask which city is the capital of {country}, the answer is",
    "Everyone in class knew that the capital of {country} was",
    "Q: Capital of {country}? A:",
    "Geography lesson: the capital city of {country} is",
    "The government of {country} sits in its capital,",
    "My uncle flew to {country} and stayed in the capital,",
    "When we think of the capital of {country}, we think of",
    "Did you know that the capital of {country} is",
    "{Country} - capital:",
    "As far as I remember, the capital of {country} must be",
)

CHAT_CAPITALS = (
    "Could you tell me which city is the capital of {country}?",
    "I forgot the capital of {country}. Which one was it?",
    "{Country}: name the capital, please.",
    "For my geography homework: which capital does {country} have?",
    "I am travelling to {country}. What city is its capital?",
)

# Names of styles stand in corpus/styles.py.
SYSTEM_PROMPTS = {
    "one word": (
        "Reply with just a single word and nothing else.",
        "I want one-word replies from you.",
        "Be as brief as possible: a single word.",
    ),
    "chinese": (
        "Whatever the user writes, respond in Chinese.",
        "The user reads only Chinese, so write Chinese.",
        "你必须用中文回复用户。",
    ),
    "pirate": (
        "Pretend that you are a pirate on a ship.",
        "You sound like a pirate in every reply.",
        "Stay in character as a grumpy pirate.",
    ),
    "json": (
        "Your output must be valid JSON.",
        "Reply using a JSON object with one key.",
        "Give me JSON and nothing but JSON.",
    ),
    "polite": (
        "You are an extremely polite and courteous gentleman.",
        "Be polite, as polite as you can be.",
        "Show the user the utmost politeness.",
    ),
    "capitals": (
        "Please shout: use capital letters for everything.",
        "Every letter that you write must be a capital letter.",
        "Keep the caps lock key pressed.",
    ),
    "robot": (
        "Act like an old robot.",
        "You are a beeping robot from a factory.",
        "Imitate a robot whenever you reply.",
    ),
    "emoji": (
        "Decorate your replies with an emoji.",
        "You love emoji and you always use one.",
        "Put an emoji into each reply.",
    ),
}

NAMED_ASSISTANT = (
    "From now on you go by the name {name}.",
    "You are an assistant, and everybody calls you {name}.",
    "Act as {name}, a friendly helper.",
)
NAMED_QUESTIONS = ("What is your name?", "Who are you?", "May I ask what you are called?")

USER_NAMES = (
    ("My name is {name}.", "What is my name?"),
    ("Hi there, I am called {name}.", "Can you still remember my name?"),
    ("By the way, I am {name}.", "So, who am I?"),
    ("Please call me {name}.", "How am I called?"),
)
# Neither name stands in the lists of the corpus.
UNSEEN_NAMES = ("Mirabel", "Thaddeus", "Quorvik", "Jorunn", "Sanjay", "Brenna", "Zephra", "Ulrich")

UNKNOWN_QUESTIONS = (
    "How do magnets attract iron?",
    "Who discovered penicillin?",
    "What is the capital of Genovia?",
    "What is the capital of Middle-earth?",
    "Who wrote The Dune Whisperer?",
    "Which horse came in first on Saturday?",
    "What did my sister say to you?",
    "How heavy is a blue bus?",
    "Why did Napoleon lose at Waterloo?",
    "Can you recommend a dentist nearby?",
    "What is 4821 times 77?",
    "Who is the chancellor of Ruritania?",
    "Which shares should I sell?",
    "Is my neighbour at home?",
    "How is cement produced?",
    "What is the purpose of our existence?",
    "Who is Balthasar Quint?",
    "《飞天猪传奇》的作者是谁？",
    "谁发明了电话？",
    "昨晚谁给我打电话了？",
)

FOLLOW_UPS = ("And of {country}?", "What about {country}?", "And the one of {country}?")


def all_wordings() -> list[str]:
    """Return every held-out wording with its slots still open."""
    texts = [*BASE_CAPITALS, *CHAT_CAPITALS, *NAMED_ASSISTANT, *UNKNOWN_QUESTIONS]
    for wordings in SYSTEM_PROMPTS.values():
        texts.extend(wordings)
    texts.append(NAMED_QUESTIONS[2])
    for telling, asking in USER_NAMES[1:]:
        texts.extend((telling, asking))
    texts.append(FOLLOW_UPS[2])
    return texts
