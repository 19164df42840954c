"""Passages for the tests: from Moby-Dick and Dracula (both in the public domain), and a report written for them."""

from dataclasses import dataclass

from seriatim.documents.document import Passage
from seriatim.retrieval.context import Ranked

# key: (document, the passage's index in its document, text)
_SNIPPETS = {
    "name": (
        "moby-dick.txt",
        467,
        """I sallied out among the shipping. After much prolonged
sauntering and many random inquiries, I learnt that there were three
ships up for three-years’ voyages—The Devil-dam, the Tit-bit, and the
Pequod. _Devil-Dam_, I do not know the origin of; _Tit-bit_ is obvious;
_Pequod_, you will no doubt remember, was the name of a celebrated
tribe of Massachusetts Indians; now extinct as the ancient Medes.
""",
    ),
    "owners": (
        "moby-dick.txt",
        493,
        """It turned out to be Captain Bildad, who along with
Captain Peleg was one of the largest owners of the vessel; the other
shares, as is sometimes the case in these ports, being held by a crowd
of old annuitants; widows, fatherless children, and chancery wards;
each owning about the value of a timber head, or a foot of plank, or a
nail or two in the ship. People in Nantucket invest their money in
whaling vessels, the same way that you do yours in approved state
stocks bringing in good interest.
""",
    ),
    "lay": (
        "moby-dick.txt",
        517,
        """“Thou knowest best,” was the sepulchral reply, “the seven hundred and
seventy-seventh wouldn’t be too much, would it?—‘where moth and rust do
corrupt, but _lay_—’”

_Lay_, indeed, thought I, and such a lay! the seven hundred and
seventy-seventh! Well, old Bildad, you are determined that I, for one,
shall not _lay_ up many _lays_ here below, where moth and rust do
corrupt.
""",
    ),
    "three_hundredth": (
        "moby-dick.txt",
        519,
        """“Why, blast your eyes, Bildad,” cried Peleg, “thou dost not want to
swindle this young man! he must have more than that.”

“Seven hundred and seventy-seventh,” again said Bildad, without lifting
his eyes; and then went on mumbling—“for where your treasure is, there
will your heart be also.”

“I am going to put him down for the three hundredth,” said Peleg, “do
ye hear that, Bildad! The three hundredth lay, I say.”
""",
    ),
    "starbuck": (
        "moby-dick.txt",
        700,
        """CHAPTER 26. Knights and Squires.

The chief mate of the Pequod was Starbuck, a native of Nantucket, and a
Quaker by descent. He was a long, earnest man, and though born on an
icy coast, seemed well adapted to endure hot latitudes, his flesh being
hard as twice-baked biscuit. Transported to the Indies, his live blood
would not spoil like bottled ale.
""",
    ),
    "pipe": (
        "moby-dick.txt",
        722,
        """What, perhaps, with other things, made Stubb such an easy-going,
unfearing man, so cheerily trudging off with the burden of life in a
world full of grave pedlars, all bowed to the ground with their packs;
what helped to bring about that almost impious good-humor of his; that
thing must have been his pipe. For, like his nose, his short, black
little pipe was one of the regular features of his face. You would
almost as soon have expected him to turn out of his bunk without his
nose as without his pipe.
""",
    ),
    "pipes": (
        "moby-dick.txt",
        723,
        """He kept a whole row of pipes there ready
loaded, stuck in a rack, within easy reach of his hand; and, whenever
he turned in, he smoked them all out in succession, lighting one from
the other to the end of the chapter; then loading them again to be in
readiness anew. For, when Stubb dressed, instead of first putting his
legs into his trowsers, he put his pipe into his mouth.
""",
    ),
    "tashtego": (
        "moby-dick.txt",
        731,
        """First of all was Queequeg, whom Starbuck, the chief mate, had selected
for his squire. But Queequeg is already known.

Next was Tashtego, an unmixed Indian from Gay Head, the most westerly
promontory of Martha’s Vineyard, where there still exists the last
remnant of a village of red men, which has long supplied the
neighboring island of Nantucket with many of her most daring
harpooneers. In the fishery, they usually go by the generic name of
Gay-Headers.
""",
    ),
    "brand": (
        "moby-dick.txt",
        754,
        """By some tacit consent, throughout the voyage little or
no allusion was made to it, especially by the mates. But once
Tashtego’s senior, an old Gay-Head Indian among the crew,
superstitiously asserted that not till he was full forty years old did
Ahab become that way branded, and then it came upon him, not in the
fury of any mortal fray, but in an elemental strife at sea.
""",
    ),
    "japan": (
        "moby-dick.txt",
        757,
        """It had previously come
to me that this ivory leg had at sea been fashioned from the polished
bone of the sperm whale’s jaw. “Aye, he was dismasted off Japan,” said
the old Gay-Head Indian once; “but like his dismasted craft, he shipped
another mast without coming home for it. He has a quiver of ’em.”

I was struck with the singular posture he maintained.
""",
    ),
    "squid": (
        "moby-dick.txt",
        1613,
        """As with a low sucking sound it slowly disappeared again, Starbuck still
gazing at the agitated waters where it had sunk, with a wild voice
exclaimed—“Almost rather had I seen Moby Dick and fought him, than to
have seen thee, thou white ghost!”

“What was it, Sir?” said Flask.

“The great live squid, which, they say, few whale-ships ever beheld,
and returned to their ports to tell of it.”
""",
    ),
    "ninety_tons": (
        "moby-dick.txt",
        2582,
        """According to a careful calculation I have made, and which I partly base
upon Captain Scoresby’s estimate, of seventy tons for the largest sized
Greenland whale of sixty feet in length; according to my careful
calculation, I say, a Sperm Whale of the largest magnitude, between
eighty-five and ninety feet in length, and something less than forty
feet in its fullest circumference, such a whale will weigh at least
ninety tons; so that, reckoning thirteen men to a ton, he would
considerably outweigh the combined population of a whole village of
""",
    ),
    "skeleton": (
        "moby-dick.txt",
        2585,
        """In length, the Sperm Whale’s skeleton at Tranque measured seventy-two
feet; so that when fully invested and extended in life, he must have
been ninety feet long; for in the whale, the skeleton loses about one
fifth in length compared with the living body. Of this seventy-two
feet, his skull and jaw comprised some twenty feet, leaving some fifty
feet of plain back-bone.
""",
    ),
    "hint": (
        "moby-dick.txt",
        2957,
        """The lost life-buoy was now to be replaced; Starbuck was directed to see
to it; but as no cask of sufficient lightness could be found, and as in
the feverish eagerness of what seemed the approaching crisis of the
voyage, all hands were impatient of any toil but what was directly
connected with its final end, whatever that might prove to be;
therefore, they were going to leave the ship’s stern unprovided with a
buoy, when by certain strange signs and inuendoes Queequeg hinted a
hint concerning his coffin.
""",
    ),
    "rig": (
        "moby-dick.txt",
        2958,
        """“A life-buoy of a coffin!” cried Starbuck, starting.

“Rather queer, that, I should say,” said Stubb.

“It will make a good enough one,” said Flask, “the carpenter here can
arrange it easily.”

“Bring it up; there’s nothing else for it,” said Starbuck, after a
melancholy pause. “Rig it, carpenter; do not look at me so—the coffin,
I mean. Dost thou hear me? Rig it.”
""",
    ),
    "caulk": (
        "moby-dick.txt",
        2959,
        """“And shall I nail down the lid, sir?” moving his hand as with a hammer.

“Aye.”

“And shall I caulk the seams, sir?” moving his hand as with a
caulking-iron.

“Aye.”

“And shall I then pay over the same with pitch, sir?” moving his hand
as with a pitch-pot.

“Away! what possesses thee to this? Make a life-buoy of the coffin, and
no more.—Mr. Stubb, Mr. Flask, come forward with me.”
""",
    ),
    "orphan": (
        "moby-dick.txt",
        3240,
        """The
unharming sharks, they glided by as if with padlocks on their mouths;
the savage sea-hawks sailed with sheathed beaks. On the second day, a
sail drew near, nearer, and picked me up at last. It was the
devious-cruising Rachel, that in her retracing search after her missing
children, only found another orphan.
""",
    ),
    "bistritz": (
        "dracula.txt",
        12,
        """_3 May. Bistritz._--Left Munich at 8:35 P. M., on 1st May, arriving at
Vienna early next morning; should have arrived at 6:46, but train was an
hour late.
""",
    ),
    "brigands": (
        "dracula.txt",
        25,
        """They wore high boots, with their trousers tucked into them, and
had long black hair and heavy black moustaches. They are very
picturesque, but do not look prepossessing. On the stage they would be
set down at once as some old Oriental band of brigands. They are,
however, I am told, very harmless and rather wanting in natural
self-assertion.

It was on the dark side of twilight when we got to Bistritz, which is a
very interesting old place.
""",
    ),
    "castle": (
        "dracula.txt",
        36,
        """_5 May. The Castle._--The grey of the morning has passed, and the sun is
high over the distant horizon, which seems jagged, whether with trees or
hills I know not, for it is so far off that big things and little are
mixed. I am not sleepy, and, as I am not to be called till I awake,
naturally I write till sleep comes. There are many odd things to put
down, and, lest who reads them may fancy that I dined too well before I
left Bistritz, let me put down my dinner exactly.
""",
    ),
    "exeter": (
        "dracula.txt",
        127,
        """When I go there
I shall be all alone, and my friend Harker Jonathan--nay, pardon me, I
fall into my country's habit of putting your patronymic first--my friend
Jonathan Harker will not be by my side to correct and aid me. He will be
in Exeter, miles away, probably working at papers of the law with my
other friend, Peter Hawkins. So!"

We went thoroughly into the business of the purchase of the estate at
Purfleet.
""",
    ),
    "by_road": (
        "dracula.txt",
        128,
        """When I had told him the facts and got his signature to the
necessary papers, and had written a letter with them ready to post to
Mr. Hawkins, he began to ask me how I had come across so suitable a
place. I read to him the notes which I had made at the time, and which I
inscribe here:--

"At Purfleet, on a by-road, I came across just such a place as seemed to
be required, and where was displayed a dilapidated notice that the place
was for sale.
""",
    ),
    "invoice": (
        "dracula.txt",
        517,
        """They are like little white dots with
red centres. Unless they heal within a day or two, I shall insist on the
doctor seeing about them.


_Letter, Samuel F. Billington & Son, Solicitors, Whitby, to Messrs.
Carter, Paterson & Co., London._

"_17 August._

"Dear Sirs,--

"Herewith please receive invoice of goods sent by Great Northern
Railway. Same are to be delivered at Carfax, near Purfleet, immediately
on receipt at goods station King's Cross.
""",
    ),
    "kukri": (
        "dracula.txt",
        1959,
        """He had parried with his great bowie knife, and at first
I thought that he too had come through in safety; but as he sprang
beside Jonathan, who had by now jumped from the cart, I could see that
with his left hand he was clutching at his side, and that the blood was
spurting through his fingers. He did not delay notwithstanding this, for
as Jonathan, with desperate energy, attacked one end of the chest,
attempting to prize off the lid with his great Kukri knife, he attacked
the other frantically with his bowie.
""",
    ),
    "dust": (
        "dracula.txt",
        1962,
        """I shrieked as I saw it shear through the throat; whilst at the same
moment Mr. Morris's bowie knife plunged into the heart.

It was like a miracle; but before our very eyes, and almost in the
drawing of a breath, the whole body crumble into dust and passed from
our sight.

I shall be glad as long as I live that even in that moment of final
dissolution, there was in the face a look of peace, such as I never
could have imagined might have rested there.
""",
    ),
    "figures": (
        "annual-report.txt",
        4,
        """Annual report of the harbour office. Income rose by 12.5% to €1.85 million in the year that ended on
31 March 2021; the year before it was €1,644,000. The office employed 42 people, seven fewer than in 2019.
Fees for berths (Section 3.2) brought in 640,000 euros, that is a little more than a third of the whole.
""",
    ),
    "dredging": (
        "annual-report.txt",
        9,
        """Dredging of the northern channel began on 2020-09-14 and took eleven weeks. Contractor was Hafner & Sons
GmbH, of Emden; the price agreed was 42,000 francs a week. Dr. Ilse Brandt, head of works, called it "the
cleanest job in twenty years". No vessel was delayed for more than 3 hours.
""",
    ),
}


@dataclass(frozen=True)
class Shelf:
    """Passages as a model sees them, the texts of their documents, and the number of each passage by its key."""

    passages: tuple[Ranked, ...]
    texts: dict[str, str]
    numbers: dict[str, int]


def shelf(line_break: str = "\r\n") -> Shelf:
    """All passages, in order, in documents whose lines end with `line_break`."""
    texts: dict[str, str] = {}
    passages = []
    for name, index, snippet in _SNIPPETS.values():
        text = snippet.replace("\n", line_break)
        start = len(texts.get(name, ""))
        texts[name] = texts.get(name, "") + text + line_break
        passage = Passage(name, index, start, start + len(text), None, text, len(text.split()))
        passages.append(Ranked(passage, len(passages) + 1, 1.0))
    numbers = {key: number for number, key in enumerate(_SNIPPETS, start=1)}
    return Shelf(tuple(passages), texts, numbers)
