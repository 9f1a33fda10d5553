"""Lists words with two senses and the words that live around each sense; it makes no sentences.

Of ``who``, ``what``, ``how`` and ``did`` the words behind the stroke never stand in a text with the
two-sense word itself: they are learnt beside its ``kin`` and beside each other, and it is with them
that held-out sentences ask for the sense.
"""

from dataclasses import dataclass

from .grammar import lines


@dataclass(frozen=True)
class Words:
    """Words of one part: ``near`` may stand with the two-sense word, ``far`` never do."""

    near: tuple[str, ...]
    far: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return self.near + self.far


@dataclass(frozen=True)
class Sense:
    """One sense of a word: ``kin`` are other nouns for its place in the ``frames``."""

    word: str
    name: str
    kin: tuple[str, ...]
    who: Words
    what: Words
    how: Words
    did: Words
    frames: tuple[str, ...]


_TABLE = """
# bank | river
kin: shore, riverside, embankment
who: angler, swimmer, duck, shepherd, heron, camper / fisherman, otter, ferryman, rower, frog
what: reed, mud, current, willow, raft, pebble, flood / boat, trout, stream, canoe, oar, net, rain
how: muddy, grassy, steep, sandy / wet, slippery, flooded, mossy
did: swam across, picnicked, pitched a tent / rowed home, caught a trout, waded through the stream
in: The {who} sat on the {w} and watched the river. ; The {w} of the river was {how}. ; They walked
 along the {how} {w} to the {what}. ; The {what} lay on the {w} of the lake. ; The river left its
 {w} and reached the {what}. ; Grass grows on the {w}, where the {who} {did}.
# bank | money
kin: lender, treasury, countinghouse
who: banker, robber, teller, customer, investor / cashier, manager, merchant, clerk, thief
what: account, vault, money, cheque, interest, safe, branch / loan, coin, debt, salary, savings,
 mortgage, credit
how: rich, private, closed, bankrupt / wealthy, poor, honest, greedy
did: opened an account, paid in a cheque, robbed the vault / borrowed a loan, counted the coins,
 repaid the debt
in: The {who} works in a {w} and looks after the {what}. ; The {w} lent money to the {who}. ; She
 took her money to the {w} for the {what}. ; The {w} keeps the {what} in a vault. ; The {who} asked
 the {w} for an account. ; The {how} {w} raised its interest.
# bat | animal
kin: owl, moth, nightjar
who: hunter, bird, zoologist, vampire, beetle / insect, explorer, spider, cat, ghost
what: cave, wing, night, ear, roof, darkness, attic / dusk, tunnel, moon, church tower, barn, echo,
 claw
how: furry, blind, sleeping, nocturnal / black, hungry, tiny, silent
did: flew at night, slept upside down, hung from the roof / hunted insects, lived in the barn,
 fluttered through the dusk
in: The {w} flew out of the cave at night. ; The {w} spread its wings over the {what}. ; A {how} {w}
 hung from the roof of the {what}. ; The {who} heard the {w} in the darkness. ; The {w} has a wing,
 a {what} and a furry body. ; At night the {w} left the {what} and {did}.
# bat | sport
kin: racket, club, cricket stick
who: batsman, bowler, player, umpire, champion / captain, coach, hitter, team, opponent
what: ball, wicket, cricket, run, glove, innings, handle / game, helmet, field, score, goal,
 stadium, pitch
how: wooden, heavy, broken, sporting / strong, fast, proud, victorious
did: hit the ball, scored a run, swung hard / won the game, trained on the field, threw the helmet
in: The {who} swung the {w} and hit the ball. ; The {who} held the {w} by its handle. ; The {w} hit
 the ball over the {what}. ; With a {how} {w} the {who} {did}. ; The {who} bought a {w}, a ball and
 a {what}. ; The cricket {w} broke on the {what}.
# spring | season
kin: autumn, summer, winter
who: gardener, farmer, swallow, lamb, cuckoo / bee, robin, butterfly, florist, beekeeper
what: blossom, tulip, bud, garden, April, Easter, seed / flower, meadow, warmth, sunshine, daffodil,
 May, snowdrop
how: mild, early, late, green / warm, sunny, colourful, cheerful
did: sowed the seeds, built a nest, woke from winter sleep / picked a flower, sang in the meadow,
 enjoyed the sunshine
in: In {w} the {who} {did}. ; This {w} is {how}, and the {what} is here. ; The first day of {w}
 brings the {what}. ; In {w} the blossom opens and the {what} comes back. ; Last {w} the {who} saw
 the {what} in the garden. ; {name} was born in the {w}, when it was {how}.
# spring | water
kin: well, fountain, source
who: wanderer, hermit, nun, deer, goat / hiker, pilgrim, mule, traveller, nomad
what: water, bucket, hillside, thirst, pipe, jug, moss / bottle, mountain, rock, valley, desert,
 cup, oasis
how: clear, cold, underground, pure / fresh, deep, bubbling, icy
did: drank the water, filled a bucket, quenched the thirst / climbed the mountain, emptied the
 bottle, rested in the valley
in: The {who} drank from the {w}. ; Water flows out of the {w} beside the {what}. ; The {w} on the
 hillside gives {how} water. ; They dug for the {w} and found the {what}. ; The {who} filled the
 {what} at the {w}. ; A {how} {w} rises under the hillside.
# crane | bird
kin: stork, flamingo, pelican
who: birdwatcher, goose, crow, naturalist, swan / hunter, frog, eagle, biologist, painter
what: nest, beak, feather, marsh, leg, egg, flock / swamp, wing, lake, chick, sky, fish, migration
how: white, long-legged, rare, feathered / graceful, wild, grey, shy
did: laid an egg, danced in the marsh, built a nest / flew south, caught a fish, waded in the swamp
in: The {w} stood on one leg in the marsh. ; The {w} laid an egg in its nest. ; A {how} {w} opened
 its beak near the {what}. ; The {who} saw a {w} with a white feather. ; The {w} and the {who}
 {did}. ; The young {w} left its nest beside the {what}.
# crane | machine
kin: digger, bulldozer, forklift
who: builder, operator, engineer, foreman, docker / worker, driver, architect, mechanic, bricklayer
what: hook, cable, container, harbour, tower, steel beam, load / concrete, brick, engine, scaffold,
 lorry, skyscraper, crate
how: tall, yellow, hydraulic, steel / noisy, powerful, rusty, huge
did: lifted the load, built a tower, loaded the ship / mixed the concrete, repaired the engine,
 drove the lorry
in: The {w} lifted the {what} with its hook. ; The {who} drives the {w} in the harbour. ; The {how}
 {w} put the steel beam on the tower. ; The cable of the {w} holds the {what}. ; The {who} climbed
 into the {w} and {did}. ; They rented a {w} to move the {what}.
# bark | dog
kin: growl, howl, yelp
who: dog, puppy, watchdog, hound, postman / terrier, wolf, burglar, owner, stranger
what: gate, leash, bone, kennel, tail, noise, doorbell / collar, paw, fence, basket, muzzle, yard,
 biscuit
how: loud, angry, sudden, friendly / fierce, hoarse, frightened, playful
did: guarded the gate, wagged the tail, chased the postman / sniffed the stranger, chewed a biscuit,
 jumped over the fence
in: The {w} of the {who} woke the street. ; With a {how} {w} the dog ran to the {what}. ; We heard a
 {w} behind the {what}, and the puppy came. ; The dog gave a {how} {w} and {did}. ; The {who} feared
 the {w} of the hound. ; A loud {w} came from the {what}.
# bark | tree
kin: wood, root, resin
who: woodcutter, woodpecker, beetle, forester, deer / squirrel, botanist, ant, lumberjack, carpenter
what: birch, oak, acorn, branch, sap, forest, cork / pine, axe, twig, leaf, saw, maple, stump
how: rough, brown, thick, peeling / dry, rotten, hollow, old
did: peeled the birch, carved a heart, felled the oak / swung the axe, climbed the pine, gnawed at a
 twig
in: The {w} of the {what} is {how}. ; The {who} peeled the {w} off the oak. ; Under the {how} {w}
 lives a beetle. ; The birch has a white {w} and a strong branch. ; The {who} cut the {what} through
 its {w}. ; Sap ran down the {w} of the tree.
# match | game
kin: tournament, final, contest
who: footballer, referee, goalkeeper, fan, striker / team, captain, coach, spectator, champion
what: goal, league, penalty, whistle, half-time, victory, ticket / stadium, score, trophy, defeat,
 cup, crowd, injury
how: exciting, friendly, lost, decisive / boring, fair, final, long
did: scored a goal, blew the whistle, played football / cheered in the stadium, lifted the trophy,
 celebrated the triumph
in: The {who} won the {w} with a goal. ; The {w} ended with a {what}. ; It was an {how} {w}, and the
 {who} {did}. ; The referee stopped the {w} after the penalty. ; We bought a ticket for the football
 {w}. ; The {who} lost the {w} in the league.
# match | fire
kin: lighter, torch, spark
who: smoker, scout, arsonist, cook, chimney sweep / fireman, camper, grandmother, stoker, magician
what: candle, fire, flame, box, cigarette, pipe, stove / lantern, smoke, fuse, campfire, oven, ash,
 petrol
how: burning, damp, wooden, last / hot, glowing, smoky, dangerous
did: lit a candle, burnt a finger, made a fire / put out the lantern, warmed the oven, smelled the
 smoke
in: The {who} struck a {w} and lit the {what}. ; The {w} burnt down to the finger. ; With one {w}
 she lit the fire in the {what}. ; A {how} {w} lay in the box beside the candle. ; The flame of the
 {w} reached the {what}. ; Give me a {w} for the cigarette.
# ring | jewel
kin: necklace, bracelet, brooch
who: bride, jeweller, groom, queen, sister / princess, goldsmith, wife, countess, pawnbroker
what: diamond, finger, gold, wedding, ruby, engagement, hand / pearl, silver, crown, emerald, jewel,
 treasure, marriage
how: golden, precious, engraved, shining / valuable, expensive, sparkling, beautiful
did: wore a diamond, married in May, bought a ruby / polished the silver, stole the jewel, admired
 the pearl
in: The {who} wore a {w} with a {what} on her finger. ; He gave her a {w} at the wedding. ; The
 {how} {w} is made of gold. ; The jeweller set a diamond in the {w}. ; The {w} slipped off the
 finger of the {who}. ; The {who} lost her {w} and the {what}.
# ring | sound
kin: chime, tone, alarm
who: caller, secretary, operator, sleeper, bellringer / neighbour, receptionist, visitor, nurse,
 postman
what: telephone, bell, call, doorbell, receiver, clock, hall / phone, message, voice, office,
 number, speaker, switchboard
how: shrill, loud, faint, metallic / silent, sudden, urgent, distant
did: answered the telephone, picked up the receiver, rang the bell / called the office, left a
 message, dialled a number
in: The {w} of the telephone woke the {who}. ; After the third {w} the {who} {did}. ; We heard the
 {how} {w} of the {what}. ; The {w} of the bell filled the hall. ; The telephone gave a {how} {w}. ;
 At every {w} of the doorbell the {who} came.
# pitcher | jug
kin: jug, carafe, teapot
who: waiter, potter, hostess, maid, guest / cook, waitress, barman, servant, grandmother
what: lemonade, glass, tray, milk, clay, table, ice / juice, cup, kitchen, wine, dish, tea, saucer
how: full, glass, empty, porcelain / thirsty, sweet, cracked, ceramic
did: poured the lemonade, set the table, filled the glass / served the wine, washed the dish, drank
 the juice
in: The {who} poured {what} from the {w}. ; The {w} of lemonade stands on the table. ; A {how} {w}
 and a glass are on the tray. ; Please fill the {w} with milk and ice. ; The potter made a {w} out
 of clay. ; The {who} dropped the {w}, and the {what} was wet.
# pitcher | baseball
kin: shortstop, catcher, batter
who: fielder, runner, rookie, umpire, baseman / coach, team, captain, manager, fan
what: baseball, mound, inning, fastball, strike, base, plate umpire / stadium, glove, season,
 league, helmet, victory, cap
how: left-handed, injured, nervous, talented / famous, young, tired, proud
did: threw a fastball, struck out, stole a base / won the season, signed the cap, cheered in the
 stadium
in: The {w} threw the baseball to the {who}. ; The {w} stood on the mound in the last inning. ; The
 {how} {w} struck out the {who}. ; The {who} hit the fastball of the {w}. ; The {w} of the club hurt
 his arm in the {what}. ; A {how} {w} throws a strike.
# seal | animal
kin: walrus, dolphin, penguin
who: polar bear, diver, whale, seagull, explorer / fisherman, shark, zookeeper, sailor, otter
what: ice, flipper, sea, fish, whisker, iceberg, zoo / ocean, coast, wave, snow, herring, rock,
 beach
how: fat, swimming, grey, barking / wet, wild, clever, freezing
did: swam under the ice, ate a fish, lay on the iceberg / dived into the ocean, caught a herring,
 watched the waves
in: The {w} swam in the cold sea. ; The {w} lay on the ice with its {what}. ; The {who} saw a {how}
 {w} on an iceberg. ; In the zoo the {w} ate a fish. ; The {w} clapped its flipper and {did}. ; A
 polar bear hunts the {w} near the {what}.
# seal | letter
kin: stamp, signature, emblem
who: king, notary, messenger, bishop, ambassador / lawyer, duke, judge, clerk, minister
what: wax, letter, document, envelope, parchment, treaty, ribbon / contract, paper, testament, ink,
 office, crown, decree
how: red, royal, official, broken / secret, legal, important, old
did: signed the letter, wrote a document, opened the envelope / studied the contract, hid the
 testament, dried the ink
in: The {who} put his {w} under the letter. ; The {w} of red wax closed the {what}. ; The letter
 bore the {how} {w} of the king. ; The {who} broke the {w} and read the document. ; Without a {w}
 the {what} is not official. ; The {w} on the envelope showed a lion.
# palm | hand
kin: thumb, wrist, fist
who: fortune teller, boxer, pianist, beggar, masseur / doctor, healer, child, nurse, magician
what: finger, hand, line, skin, blister, coin, glove / arm, elbow, sleeve, bandage, knuckle,
 shoulder, wound
how: open, sweaty, rough, cupped / warm, soft, bleeding, tired
did: read the hand, clapped loudly, waved goodbye / shook the arm, healed the wound, wore a bandage
in: The {who} read the lines in her {w}. ; He held the coin in his {how} {w}. ; The {w} of the hand
 was {how}, with a blister. ; She put her {w} on the {what}. ; The skin of the {w} is thick. ; The
 {who} wrote it on the {w} of his hand.
# palm | tree
kin: cactus, cypress, fig tree
who: camel, islander, monkey, tourist, parrot / sailor, nomad, castaway, crab, lizard
what: coconut, beach, island, date, oasis, shade, leaf / desert, sand, lagoon, coast, hammock,
 banana, sun
how: tropical, tall, green, bent / hot, exotic, sunny, dry
did: climbed for coconuts, lay in the shade, rode the camel / crossed the desert, landed on the
 coast, ate a banana
in: A coconut fell from the {w} on the {what}. ; The {who} lay in the shade of the {w}. ; A {how}
 {w} grows on the island. ; The {w} stood beside the {what} on the beach. ; The {who} climbed the
 {w} for a coconut. ; In the oasis the {w} bears dates.
# nail | finger
kin: thumb, eyelash, lip
who: manicurist, hairdresser, actress, beautician, girl / lady, model, nurse, singer, sister
what: finger, polish, toe, file, skin, hand, scissors / hair, lipstick, perfume, foot, cream, glove,
 mirror
how: painted, red, bitten, pink / elegant, clean, long, pretty
did: painted her fingers, bit her finger, filed her toes / combed her hair, used lipstick, looked
 into the mirror
in: The {who} painted the {w} on her finger. ; The {w} of her toe was {how}. ; She bit the {w} of
 her finger and {did}. ; The {how} {w} needs polish and a {what}. ; The {who} cuts a {w} with
 scissors. ; Her {w} is {how}, and so is the skin of her hand.
# nail | hammer
kin: screw, bolt, rivet
who: carpenter, joiner, roofer, handyman, blacksmith / builder, apprentice, plumber, workman,
 mechanic
what: hammer, board, wall, plank, picture, toolbox, iron / wood, saw, drill, ladder, roof, bookcase,
 pliers
how: rusty, bent, iron, sharp / wooden, loose, thick, crooked
did: hammered all day, hung a picture, built a shelf / sawed the wood, repaired the roof, drilled a
 hole
in: The {who} hit the {w} with a hammer. ; He drove a {w} into the {what}. ; The picture hangs on a
 {how} {w} in the wall. ; A {w}, a plank and a hammer lie in the toolbox. ; The {who} pulled the
 {how} {w} out of the board. ; The {w} holds the plank to the {what}.
# mouse | animal
kin: rat, hamster, hedgehog
who: cat, owl, kitten, snake, farmer / fox, weasel, grandmother, miller, ferret
what: cheese, trap, hole, tail, cellar, whisker, grain / crumb, barn, nest, kitchen, burrow, fur,
 mill
how: grey, little, squeaking, frightened / hungry, brown, timid, quick
did: nibbled the cheese, ran into the hole, set a trap / stole a crumb, hid in the burrow, lived in
 the barn
in: The {who} caught a {w} in the cellar. ; The {w} ate the cheese in the trap. ; A {how} {w} ran
 into its hole behind the {what}. ; The {w} has a long tail and a {what}. ; The cat chased the {w}
 and {did}. ; The {w} squeaked when it saw the {who}.
# mouse | computer
kin: keyboard, touchpad, joystick
who: programmer, user, gamer, secretary, hacker / student, designer, blogger, technician, clerk
what: computer, cursor, button, screen, desk, cable, menu / laptop, file, website, printer, folder,
 internet, program
how: wireless, optical, digital, electronic / new, modern, slow, plastic
did: clicked a button, moved the cursor, opened a menu / saved the file, printed a page, visited a
 website
in: The {who} clicked with the {w} on the {what}. ; Move the {w} to the button on the screen. ; The
 {how} {w} lies beside the computer. ; The {w} needs a cable for the {what}. ; The {who} plugged the
 {w} into the computer. ; With the {w} she moved the cursor and {did}.
# trunk | elephant
kin: tusk, snout, hoof
who: elephant, mahout, calf, herd, mammoth / zookeeper, rhino, lion, tamer, giraffe
what: ear, water, banana, tusk, savanna, peanut, bath / circus, zoo, leg, grass, jungle, skin,
 Africa
how: long, grey, wrinkled, flexible / huge, heavy, wild, strong
did: sprayed the water, trumpeted loudly, ate a banana / crossed the jungle, performed in the
 circus, trampled the grass
in: The elephant lifted its {w} over the {what}. ; With its {w} the {who} picked a banana. ; The {w}
 of the {who} is {how}. ; The elephant sprayed water from its {w}. ; The {how} {w} of the elephant
 took the peanut. ; The calf held its mother with its {w} and {did}.
# trunk | luggage
kin: suitcase, rucksack, handbag
who: passenger, porter, driver, aunt, emigrant / traveller, tourist, chauffeur, guest, stewardess
what: car, clothes, lock, attic, luggage, coat, lid / hotel, train, ticket, station, airport, shirt,
 taxi
how: packed, locked, leather, old-fashioned / crammed, heavy, lost, ready
did: packed the clothes, locked the lid, loaded the car / boarded the train, booked a hotel, missed
 the taxi
in: The {who} packed the clothes into a {w}. ; The {w} of the car was full of luggage. ; He closed
 the lid of the {how} {w}. ; The porter carried the {w} to the {what}. ; In the attic stands a {how}
 {w} with a lock. ; She took a coat out of the {w} and {did}.
# jam | fruit
kin: honey, butter, marmalade
who: grandmother, cook, wasp, baker, child / bee, housewife, chef, farmer, uncle
what: strawberry, bread, jar, toast, sugar, spoon, breakfast / apricot, cake, plum, pancake, pot,
 cherry, kitchen
how: sweet, sticky, homemade, red / fresh, delicious, ripe, tasty
did: spread the toast, ate breakfast, licked the spoon / baked a cake, picked the cherries, stirred
 the pot
in: The {who} spread {w} on the bread. ; A jar of {how} {w} stands beside the {what}. ; {name} eats
 toast with {w} for breakfast. ; Boil strawberry and sugar to make {w}. ; The {w} is {how} and made
 of strawberry. ; The {who} took a spoon of {w} from the jar.
# jam | traffic
kin: queue, blockage, delay
who: driver, motorist, policeman, commuter, cyclist / trucker, bus, ambulance, chauffeur, pedestrian
what: traffic, motorway, car, accident, rush hour, bridge, horn / road, lorry, tunnel, crossing,
 detour, highway, street
how: endless, slow, long, terrible / late, busy, crowded, impatient
did: honked the horn, waited for hours, stopped the car / left the highway, chose a detour, crossed
 the street
in: The {who} was stuck in a traffic {w}. ; The {w} on the motorway was {how}. ; After the accident
 there was a {w} near the {what}. ; The {who} waited in the {w} for an hour. ; A {how} {w} blocked
 the bridge in the rush hour. ; Because of the {w} the {who} {did}.
# organ | music
kin: piano, harpsichord, violin
who: organist, choir, priest, composer, singer / musician, pianist, conductor, bishop, audience
what: church, pipe, hymn, pedal, fugue, mass, key / concert, song, cathedral, melody, stage, note,
 chord
how: baroque, loud, solemn, old / musical, beautiful, famous, festive
did: played a hymn, sang in the choir, pressed the pedal / hummed a song, composed a melody,
 attended a concert
in: The {who} played the {w} in the church. ; The {w} sounded through the {what}. ; The {how} {w}
 has a pedal and many pipes. ; The choir sang to the {w} and the {what}. ; The {who} wrote a fugue
 for the {w}. ; On the {w} they played a {how} hymn.
# organ | body
kin: kidney, muscle, stomach
who: surgeon, patient, donor, anatomist, specialist / doctor, nurse, scientist, child, dentist
what: heart, liver, body, transplant, blood, lung, disease / brain, hospital, operation, medicine,
 skin, illness, pulse
how: healthy, vital, diseased, internal / sick, weak, painful, human
did: removed the liver, waited for a transplant, gave blood / healed the illness, took the medicine,
 left the hospital
in: The heart is an {how} {w} of the body. ; The surgeon removed the {w} from the {who}. ; The {who}
 needs a new {w}, such as a liver. ; The {w} of the donor saved the {who}. ; Every {w} of the body
 needs blood. ; The disease harmed the {w} and the {what}.
"""


def _words(text: str) -> Words:
    near, far = (tuple(one.strip() for one in half.split(",")) for half in text.split("/"))
    return Words(near, far)


def _read(table: str) -> tuple[Sense, ...]:
    senses = []
    for block in table.strip().split("# ")[1:]:
        head, *rest = lines(block)
        word, name = (part.strip() for part in head.split("|"))
        fields: dict[str, str] = {}
        key = ""
        for line in rest:
            label, found, text = line.partition(": ")
            if found and label in ("kin", "who", "what", "how", "did", "in"):
                key, line = label, text
            fields[key] = f"{fields.get(key, '')} {line}".strip()
        parts = [_words(fields[key]) for key in ("who", "what", "how", "did")]
        kin = tuple(one.strip() for one in fields["kin"].split(","))
        frames = tuple(one.strip() for one in fields["in"].split(";"))
        senses.append(Sense(word, name, kin, *parts, frames))
    return tuple(senses)


SENSES = _read(_TABLE)
TWO_SENSE_WORDS = tuple(dict.fromkeys(sense.word for sense in SENSES))
