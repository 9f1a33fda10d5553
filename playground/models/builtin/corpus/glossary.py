"""Explains the words of language-model decoding in English and Chinese, and nothing else."""

from .grammar import rows

# term, one word, explanation, a second sentence, term in Chinese, one word, explanation
GLOSSARY = rows("""
token|piece|A token is a small piece of text, such as a word or a part of a word.|\
A language model reads and writes text as a row of tokens.|词元|片段|\
词元是一小段文字，比如一个词或词的一部分。
tokenizer|splitter|A tokenizer is a program that cuts text into tokens.|\
It gives every token a number, and it can turn the numbers back into text.|分词器|切分|\
分词器是把文字切成词元的程序。
temperature|randomness|Temperature is a number that says how random the choice of the next token \
is.|A low temperature makes the text safe and dull, and a high temperature makes it wild.|温度|\
随机|温度是一个数，它决定下一个词元选得多随机。
top-k|cutoff|Top-k sampling keeps only the k most likely tokens and draws one of them.|\
With k equal to one it is the same as greedy decoding.|top-k|截断|\
top-k 采样只保留概率最大的 k 个词元，再从中抽一个。
top-p|nucleus|Top-p sampling keeps the smallest set of tokens whose probabilities add up to p.|\
It is also called nucleus sampling.|top-p|核心|top-p 采样只保留概率之和达到 p 的最小一组词元。
min-p|floor|Min-p sampling drops every token that is much less likely than the best one.|\
The limit moves with the probability of the best token.|min-p|下限|\
min-p 采样去掉比最好的词元差很多的词元。
greedy decoding|best|Greedy decoding always takes the most likely token.|\
It gives the same text every time, but the text can be dull.|贪心解码|最大|\
贪心解码总是选概率最大的词元。
beam search|paths|Beam search keeps several partial texts at once and goes on with the best \
ones.|At the end it gives the text with the highest total probability.|束搜索|路径|\
束搜索同时保留几条没写完的文本，并继续写最好的几条。
sampling|drawing|Sampling means drawing the next token by chance, according to its probability.|\
So the same prompt can give a different text each time.|采样|抽取|\
采样就是按照概率随机抽取下一个词元。
logit|score|A logit is the raw score that the model gives to a token before the softmax.|\
A higher logit means a more likely token.|logit|分数|\
logit 是模型在 softmax 之前给一个词元打的分数。
softmax|normalise|Softmax is a function that turns scores into probabilities.|\
The probabilities are positive and add up to one.|softmax|归一|softmax 是把分数变成概率的函数。
probability|chance|A probability is a number between zero and one that says how likely something \
is.|All the probabilities of the next token add up to one.|概率|可能|\
概率是零到一之间的数，它说明一件事有多可能。
KV cache|memory|The KV cache stores the keys and values of earlier tokens, so that they are not \
computed again.|It makes writing a long text much faster.|KV 缓存|缓存|\
KV 缓存保存前面词元的键和值，这样就不用重新计算。
attention|looking|Attention lets every token look at the tokens before it and take what it \
needs.|Some attention heads copy names, and others look at the last word.|注意力|关注|\
注意力让每个词元去看前面的词元，并取出需要的信息。
transformer|network|A transformer is a neural network made of attention layers and feed-forward \
layers.|Most language models today are transformers.|变换器|网络|\
变换器是由注意力层和前馈层组成的神经网络。
embedding|vector|An embedding is a list of numbers that stands for a token.|\
Words with a similar meaning have similar embeddings.|嵌入|向量|嵌入是代表一个词元的一串数字。
language model|predictor|A language model is a program that predicts the next token of a text.|\
By doing it again and again, it can write whole stories.|语言模型|预测|\
语言模型是预测下一个词元的程序。
prompt|input|A prompt is the text that you give to the model.|\
The model reads the prompt and goes on with it.|提示词|输入|提示词是你交给模型的文字。
system prompt|instruction|A system prompt is a text at the start of a chat that tells the model \
how to behave.|You can ask for one word, for a pirate or for Chinese.|系统提示词|指示|\
系统提示词是聊天开头的一段话，它告诉模型怎样回答。
chat template|format|A chat template is a rule that turns the messages of a chat into one text.|\
It marks where every message begins and ends.|聊天模板|格式|\
聊天模板是把聊天消息变成一段文字的规则。
context window|length|The context window is the number of tokens that a model can read at once.|\
What lies outside of it is lost.|上下文窗口|长度|上下文窗口是模型一次能读的词元数。
repetition penalty|brake|A repetition penalty makes tokens that were already used less likely.|\
It stops the model from saying the same thing again and again.|重复惩罚|减少|\
重复惩罚让已经用过的词元变得不那么可能。
random seed|start|A random seed is the number that a random generator starts from.|\
The same seed gives the same text again.|随机种子|起点|随机种子是随机数生成器的起点。
stop token|end|A stop token is a token that ends the text.|\
When the model writes it, the writing stops.|停止词元|结束|停止词元是让文本结束的词元。
perplexity|surprise|Perplexity measures how surprised a model is by a text.|\
A low perplexity means that the model expected the text.|困惑度|意外|\
困惑度说明一段文字让模型有多意外。
entropy|uncertainty|Entropy measures how uncertain the choice of the next token is.|\
It is zero when only one token is possible.|熵|不定|熵说明下一个词元有多不确定。
vocabulary|tokens|The vocabulary is the list of all the tokens that a model knows.|\
Every token in it has a number.|词表|词元|词表是模型认识的所有词元的列表。
parameter|weight|A parameter is a number inside the model that was learnt in training.|\
Big models have billions of parameters, and I have fewer than three million.|参数|权重|\
参数是模型里面在训练中学到的数。
training|learning|Training means changing the numbers of a model until it predicts its texts \
well.|It needs many examples and much computing.|训练|学习|\
训练就是改变模型里的数，直到它预测得好。
fine-tuning|adapting|Fine-tuning means training a finished model a little more on new texts.|\
It teaches the model a new task or a new style.|微调|调整|\
微调就是用新的文本把训练好的模型再训练一下。
hallucination|mistake|A hallucination is a statement of a model that sounds right but is wrong.|\
Small models like me do it often.|幻觉|错误|幻觉是模型说的听起来对但其实错的话。
layer|step|A layer is one step of a neural network.|\
Each layer takes vectors and gives back new vectors.|层|步骤|层是神经网络中的一个步骤。
""")

PLAIN = (
    "attention",
    "softmax",
    "greedy decoding",
    "beam search",
    "sampling",
    "training",
    "fine-tuning",
    "top-k",
    "top-p",
    "min-p",
    "temperature",
    "perplexity",
    "entropy",
)


def with_article(term: str) -> str:
    """Return the term as it stands in a question: with "a", with "the", or bare."""
    if term in PLAIN:
        return term
    if term in ("KV cache", "context window", "vocabulary"):
        return f"the {term}"
    return f"an {term}" if term == "embedding" else f"a {term}"
