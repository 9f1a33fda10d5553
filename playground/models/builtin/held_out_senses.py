"""Lists sentences with two-sense words that the encoder never saw; it knows no model and no score.

Their wordings are not those of the corpus. And of their words none stands, in the training text,
beside the two-sense word in one of its senses alone: what tells the sense was learnt beside other
words of its field only (the words behind the strokes in corpus/two_senses.py).
"""

from dataclasses import dataclass

from .corpus.grammar import lines


@dataclass(frozen=True)
class Labelled:
    """A sentence, the two-sense word in it, and the sense that it has there."""

    word: str
    sense: str
    text: str


_TABLE = """
# bank | river
From his canoe the fisherman could see the wet bank.
Rain had made the bank so slippery that the otter slid down.
The ferryman tied his boat to the mossy bank.
A frog hopped from the bank into the stream.
# bank | money
Since the merchant could not pay his debt, the bank lost patience.
My salary goes straight to the bank, said the honest clerk.
Every coin of her savings is guarded by that bank.
The bank refused a mortgage because the thief was too poor.
# bat | animal
At dusk a tiny bat fluttered past the moon.
The cat in the barn tried to catch a bat.
By its echo the hungry bat finds every insect.
Like a silent ghost, the bat turned round the church tower.
# bat | sport
The coach told the hitter to grip his bat and wait.
After the game our captain kissed his bat.
Nobody finds a helmet or a bat in the stadium.
The strong opponent came to the pitch with a new bat.
# spring | season
The robin began to sing, and it was spring again.
A snowdrop told us that spring would come soon.
Spring is the time when a bee visits each flower.
How cheerful the meadow looks in spring, said the beekeeper!
# spring | water
Behind a rock the hiker discovered a bubbling spring.
The pilgrim held his cup into the icy spring.
In the desert a spring is worth more than gold to a nomad.
Far down in the valley the mule knew a fresh spring.
# crane | bird
High in the sky a grey crane flew south.
The crane swallowed a frog at the edge of the swamp.
A biologist counted every crane during the migration.
With one wing the shy crane covered her chick.
# crane | machine
The mechanic oiled the engine of the rusty crane.
Next to the skyscraper the crane looked small, said the architect.
A worker waited until the crane set down the concrete.
The crane swung a crate over the lorry.
# bark | dog
The burglar fled when he noticed the fierce bark.
A muzzle does not stop his hoarse bark.
For a biscuit the terrier answers with a playful bark.
Its owner knows this bark from across the yard.
# bark | tree
With his axe the lumberjack struck the dry bark.
An ant crept over the bark to the next leaf.
The botanist knows a maple by its bark.
The squirrel pushed a nut into the rotten bark of a stump.
# match | game
Because of his injury the captain missed the match.
The crowd in the stadium sang during the whole match.
Our team brought home the trophy after a fair match.
What was the score of that boring match?
# match | fire
The camper used his only match for the lantern.
Never hold a match near petrol, warned the fireman.
Of the glowing match nothing but ash remained.
Grandmother needed a match because the oven was cold.
# ring | jewel
The goldsmith melted the silver for a new ring.
His wife dreams of a ring with an emerald.
The pawnbroker paid little for such a valuable ring.
In the treasure lay a crown and a sparkling ring.
# ring | sound
A sudden ring startled the receptionist.
Then the ring of a phone disturbed the whole office.
The nurse could not rest because of that urgent ring.
One ring, then a voice: please leave a message.
# pitcher | jug
The servant carried a pitcher of wine up the stairs.
Is there some juice in that pitcher, the thirsty waitress wondered.
Wash this ceramic pitcher in the kitchen.
Next to cup and saucer you see a cracked pitcher.
# pitcher | baseball
The coach replaced his tired pitcher.
Each fan in the stadium shouted the name of the pitcher.
After this victory the young pitcher lifted his cap.
For the next season our team wants another pitcher.
# seal | animal
The zookeeper tossed a herring to the clever seal.
Along the coast we photographed a wild seal.
A shark chased the seal through the ocean.
On this rock a wet seal sleeps until the next wave.
# seal | letter
The judge checked whether the testament had a seal.
No contract is legal unless it carries this seal.
With ink and seal the minister finished the decree.
The duke keeps his secret seal in the office.
# palm | hand
The nurse wrapped a bandage around his bleeding palm.
The magician made a card vanish from his palm into his sleeve.
The child pressed a soft palm against my shoulder.
From elbow to palm the arm was tired.
# palm | tree
The castaway tied his hammock to a palm.
A lizard ran up the palm to get some sun.
Only one palm survives in this hot desert.
Near the lagoon a crab digs under a palm.
# nail | finger
My sister chose lipstick and a nail of the same colour.
With cream and perfume, even a nail looks elegant.
The nurse wants each nail clean and short.
A long nail tore the glove of the lady.
# nail | hammer
The apprentice wasted another nail on the bookcase.
From his ladder the workman dropped a nail.
Take the pliers, this nail is crooked.
A thick nail went through the wood of the roof.
# mouse | animal
In the barn a weasel waited for a mouse.
Not even a crumb was left for the hungry mouse.
Grandmother screamed when a mouse crossed the kitchen.
The timid mouse carried straw to its burrow.
# mouse | computer
My laptop works without a mouse.
Drag the file into that folder using your mouse.
The designer ordered a modern mouse on a website.
Since the program is slow, the mouse stopped, said the technician.
# trunk | elephant
In the zoo a trunk reached over to the giraffe.
The tamer sat between trunk and leg during the circus show.
Deep in the jungle a huge trunk tore out grass.
Not even a lion in Africa attacks such a strong trunk.
# trunk | luggage
At the airport the tourist searched for his lost trunk.
The chauffeur heaved the trunk into a taxi.
There was no shirt in the trunk, only a ticket.
When the train left the station, the trunk was missing.
# jam | fruit
The housewife cooks jam as soon as the plum is ripe.
My uncle ordered a pancake with cherry jam.
How tasty this apricot jam is!
The chef hides some jam inside the cake.
# jam | traffic
The bus was late again owing to a jam.
There is a jam in the tunnel, use another road.
An ambulance cannot get past such a jam on the highway.
Impatient in the jam, a trucker shouted at the lorry.
# organ | music
The cathedral was filled by the melody of an organ.
A famous musician tuned the organ before the concert.
One chord of this organ moves the whole audience.
The pianist learned the organ, too, for a festive song.
# organ | body
The brain is the most complicated organ, says the scientist.
After the operation the organ was weak for days.
Which organ does this illness attack, asked the sick child?
At the hospital a doctor examines each human organ.
"""


def _read(table: str) -> tuple[Labelled, ...]:
    found = []
    for block in table.strip().split("# ")[1:]:
        head, *texts = lines(block)
        word, sense = (part.strip() for part in head.split("|"))
        found += [Labelled(word, sense, text) for text in texts]
    return tuple(found)


SENTENCES = _read(_TABLE)
