"""Answers as small models write them over the passages of `novels`, right and wrong, with what is wrong in them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Draft:
    """An answer to check. Citations are written with the keys of the passages, as in [{rig}].

    `wrong` are the words that no passage bears out, none for a right answer; `cites` the keys of passages that the
    answer must cite once it is checked.
    """

    question: str
    text: str
    wrong: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()


COFFIN = "What becomes of Queequeg's coffin?"
LAY = "Which lay does Bildad offer, and which one Peleg?"
LENGTH = "How long is the largest sperm whale?"
PEQUOD = "After whom is the Pequod named?"
OWNERS = "Who owns the Pequod?"
STARBUCK = "What does the book say about Starbuck?"
PIPE = "What is Stubb never without?"
TASHTEGO = "Where does Tashtego come from?"
LEG = "How did Ahab lose his leg?"
RESCUE = "Who rescues the narrator at the end?"
BRAND = "How old was Ahab when he was branded?"
TRAIN = "When did Jonathan leave Munich?"
HOUSE = "Where is the house that the Count buys?"
DEATH = "How is the Count killed?"
INVOICE = "To whom are the goods sent, and where to?"
INCOME = "How did the income of the harbour office develop?"
DREDGING = "Who dredged the channel, and at what price?"

# The check's limits were set on these.
DEVELOPMENT = (
    # Short answers.
    Draft(COFFIN, "A life-buoy [{rig}].", cites=("rig",)),
    Draft(COFFIN, "a life buoy"),
    Draft(COFFIN, "A lifebuoy"),
    Draft(COFFIN, "A dining table [{rig}].", wrong=("dining table",)),
    Draft(COFFIN, "A sea-chest", wrong=("sea-chest",)),
    Draft(LENGTH, "90 feet", cites=("ninety_tons",)),
    Draft(LENGTH, "ninety feet [{skeleton}]", cites=("skeleton",)),
    Draft(LENGTH, "95 feet [{ninety_tons}]", wrong=("95",)),
    Draft(LENGTH, "The answer is 42,500 francs.", wrong=("42,500",)),
    Draft(TASHTEGO, "Gay Head", cites=("tashtego",)),
    Draft(TASHTEGO, "Martha's Vineyard [{tashtego}]", cites=("tashtego",)),
    Draft(TASHTEGO, "New Bedford [{tashtego}]", wrong=("New Bedford",)),
    Draft(BRAND, "Forty [{brand}].", cites=("brand",)),
    Draft(BRAND, "40 years old.", cites=("brand",)),
    Draft(BRAND, "Fifty-eight years old [{brand}].", wrong=("Fifty-eight",)),
    Draft(TRAIN, "On 1 May at 8:35 P.M. [{bistritz}]", cites=("bistritz",)),
    Draft(TRAIN, "May 1st", cites=("bistritz",)),
    Draft(TRAIN, "On 4 May [{bistritz}].", wrong=("4 May",)),
    Draft("Is Starbuck a Quaker?", "Yes, he is [{starbuck}]."),
    Draft("Is Starbuck a Quaker?", "Yes.", cites=("starbuck",)),
    Draft("Is Starbuck a Quaker?", "No."),
    Draft("Does Starbuck drink tea?", "No, he does not."),
    Draft("Does the Emperor drink tea?", "Yes, he does.", wrong=("Yes, he does",)),
    # Sentences.
    Draft(COFFIN, "Queequeg's coffin becomes a life-buoy [{rig}].", cites=("rig",)),
    Draft(COFFIN, "The carpenter turns it into a life-buoy for the ship [{caulk}].", cites=("caulk",)),
    Draft(COFFIN, "The coffin is caulked and pitched and made into a life-buoy [{caulk}].", cites=("caulk",)),
    Draft(COFFIN, "Queequeg's coffin is thrown into the sea and sinks at once [{rig}].", wrong=("sinks",)),
    Draft(COFFIN, "It is buried with Queequeg on an island [{hint}].", wrong=("island",)),
    Draft(
        LAY,
        "Bildad offers the seven hundred and seventy-seventh lay [{lay}], Peleg the three hundredth "
        "[{three_hundredth}].",
        cites=("lay", "three_hundredth"),
    ),
    Draft(LAY, "Bildad offers the 777th lay and Peleg the 300th lay [{three_hundredth}].", cites=("three_hundredth",)),
    Draft(LAY, "Bildad offers the 275th lay [{lay}] and Peleg the 300th [{three_hundredth}].", wrong=("275th",)),
    Draft(LAY, "Peleg offers the 300th lay [{pipe}].", cites=("three_hundredth",)),
    Draft(LENGTH, "The largest sperm whale is between 85 and 90 feet long [{ninety_tons}].", cites=("ninety_tons",)),
    Draft(LENGTH, "It measures 90 feet and weighs 90 tons.", cites=("ninety_tons",)),
    Draft(
        LENGTH, "It is ninety feet long and weighs one hundred and twenty tons [{ninety_tons}].", wrong=("one hundred",)
    ),
    Draft(PEQUOD, "The ship is named after a tribe of Massachusetts Indians, now extinct [{name}].", cites=("name",)),
    Draft(PEQUOD, "It is named after a tribe of Massachusetts Indians [{orphan}].", cites=("name",)),
    Draft(PEQUOD, "The Pequod is named after a town in Connecticut [{name}].", wrong=("Connecticut",)),
    Draft(OWNERS, "Captain Peleg and Captain Bildad are the largest owners [{owners}].", cites=("owners",)),
    Draft(OWNERS, "The Pequod is owned by Captain Ahab and Captain Boomer [{owners}].", wrong=("Boomer",)),
    Draft(
        OWNERS, "The largest owners are Peleg and Bildad; widows and fatherless children hold other shares [{owners}]."
    ),
    Draft(STARBUCK, "Starbuck is the chief mate, a native of Nantucket and a Quaker by descent [{starbuck}]."),
    Draft(STARBUCK, "Starbuck is a Nantucketer of Quaker descent.", cites=("starbuck",)),
    Draft(STARBUCK, "Starbuck was born on the island of Tahiti [{starbuck}].", wrong=("Tahiti",)),
    Draft(PIPE, "His pipe [{pipe}].", cites=("pipe",)),
    Draft(
        PIPE, "Stubb is never seen without his short black pipe [{pipe}], and keeps a rack of loaded pipes [{pipes}]."
    ),
    Draft(PIPE, "His harpoon [{pipe}].", wrong=("harpoon",)),
    Draft(LEG, "Ahab was “dismasted off Japan” [{japan}].", cites=("japan",)),
    Draft(
        LEG, 'He was "dismasted off japan", and now has a leg made of a sperm whale\'s jaw [{japan}].', cites=("japan",)
    ),
    Draft(LEG, 'The book says: "Moby Dick bit off the leg of our captain" [{japan}].', wrong=("Moby Dick bit",)),
    Draft(LEG, "Ahab lost it off Japan [3].", cites=("japan",)),
    Draft(LEG, "Ahab lost it off Japan [99].", cites=("japan",)),
    Draft(RESCUE, "The Rachel picks him up on the second day [{orphan}].", cites=("orphan",)),
    Draft(RESCUE, "The Samuel Enderby picks him up on the second day [{orphan}].", wrong=("Samuel Enderby",)),
    Draft(RESCUE, "The passages do not say who rescues the narrator."),
    Draft(
        RESCUE,
        'The ship that saves him "only found another orphan" while looking for her "missing children".',
        cites=("orphan",),
    ),
    Draft(
        RESCUE,
        'It was the Rachel: "in her retracing search … only found another orphan" [{orphan}].',
        cites=("orphan",),
    ),
    Draft(
        RESCUE,
        'It was the Rachel: "only found another orphan … in her retracing search" [{orphan}].',
        wrong=("only found",),
    ),
    # Lists and longer answers.
    Draft(
        STARBUCK,
        "Based on the passages:\n\n1. **Rank:** He is the chief mate of the Pequod [{starbuck}].\n"
        "2. **Origin:** He comes from Nantucket [{starbuck}].\n"
        "3. **Religion:** He is a Quaker by descent [{starbuck}].",
        cites=("starbuck",),
    ),
    Draft(
        STARBUCK,
        "Based on the passages:\n\n1. **Rank:** He is the chief mate of the Pequod [{starbuck}].\n"
        "2. **Age:** He is 31 years old [{starbuck}].",
        wrong=("31",),
    ),
    Draft(
        INCOME,
        "Income rose by 12.5 percent, from 1,644,000 to 1,850,000 euros [{figures}]. The year ended on March 31, 2021.",
        cites=("figures",),
    ),
    Draft(INCOME, "Income fell by 12.5% to €1.58 million [{figures}].", wrong=("1.58 million",)),
    Draft(
        DREDGING,
        "Hafner & Sons GmbH of Emden dredged it for 42 000 francs a week, starting on 14 September 2020 [{dredging}].",
        cites=("dredging",),
    ),
    Draft(DREDGING, "Hafner and Sons, for 24,000 francs a week [{dredging}].", wrong=("24,000",)),
    Draft(DREDGING, 'Dr. Ilse Brandt called it "the cleanest job in thirty years".', wrong=("cleanest job",)),
)

# Written before the limits were set, and left alone since.
HELD_OUT = (
    Draft(COFFIN, "It is made into a life-buoy, on Starbuck's order to the carpenter [{rig}].", cites=("rig",)),
    Draft(COFFIN, "Starbuck has the carpenter nail down the lid, caulk the seams and pay them with pitch [{caulk}]."),
    Draft(COFFIN, "According to passage {rig}, the coffin is turned into a life-buoy.", cites=("rig",)),
    Draft(COFFIN, "Captain Gardiner takes the coffin on board his ship [{rig}].", wrong=("Gardiner",)),
    Draft(COFFIN, "The coffin is burnt for fuel in the try-works [{rig}].", wrong=("fuel",)),
    Draft(
        LAY,
        'Bildad says the seven hundred and seventy-seventh; Peleg says "The three hundredth lay, I say."',
        cites=("three_hundredth",),
    ),
    Draft(LAY, "Peleg offers the 200th lay, Bildad the 777th [{lay}].", wrong=("200th",)),
    Draft(
        LENGTH, "Ninety feet, since the skeleton of seventy-two feet loses a fifth [{skeleton}].", cites=("skeleton",)
    ),
    Draft(
        LENGTH, "The skull and jaw comprised some 20 feet, the back-bone 50 feet [{ninety_tons}].", cites=("skeleton",)
    ),
    Draft(LENGTH, "The Greenland whale is 60 feet long and weighs 70 tons [{ninety_tons}]."),
    Draft(LENGTH, "The Greenland whale is 65 feet long [{ninety_tons}].", wrong=("65",)),
    Draft(PEQUOD, "A celebrated tribe of Massachusetts Indians.", cites=("name",)),
    Draft(PEQUOD, "An extinct tribe of Indians in Massachusetts [{name}].", cites=("name",)),
    Draft(PEQUOD, "King Philip of the Wampanoags [{name}].", wrong=("Wampanoags",)),
    Draft(PEQUOD, "The other two ships were the Devil-Dam and the Tit-Bit [{name}].", cites=("name",)),
    Draft(OWNERS, "Bildad and Peleg, along with annuitants, widows and orphans.", cites=("owners",)),
    Draft(OWNERS, "Peleg and Bildad own most of it [{squid}].", cites=("owners",)),
    Draft(OWNERS, "The Bank of Nantucket owns it [{owners}].", wrong=("Bank",)),
    Draft(STARBUCK, "Stubb was a Quaker by descent [{pipe}].", wrong=("Quaker",)),
    Draft(STARBUCK, "The text describes his flesh as “hard as twice-baked biscuit” [{starbuck}].", cites=("starbuck",)),
    Draft(STARBUCK, "The text describes his flesh as “hard as a twice-baked brick” [{starbuck}].", wrong=("brick",)),
    Draft(
        STARBUCK,
        "He was a long, earnest man, well adapted to hot latitudes though born on an icy coast.",
        cites=("starbuck",),
    ),
    Draft(
        PIPE,
        "Stubb keeps a whole row of pipes in a rack and smokes them one after another [{pipes}].",
        cites=("pipes",),
    ),
    Draft(PIPE, "Stubb smokes opium in a Turkish pipe [{pipes}].", wrong=("Turkish",)),
    Draft(TASHTEGO, "He is an Indian from Gay Head, on Martha’s Vineyard [{tashtego}].", cites=("tashtego",)),
    Draft(TASHTEGO, "Tashtego comes from Kokovoko, an island in the South Seas [{tashtego}].", wrong=("Kokovoko",)),
    Draft(BRAND, "The old Gay-Head Indian says that Ahab was full forty years old [{brand}].", cites=("brand",)),
    Draft(BRAND, "He was thirty-five [{brand}].", wrong=("thirty-five",)),
    Draft(RESCUE, 'Another whaling ship, the "devious-cruising Rachel", saves him [{orphan}].', cites=("orphan",)),
    Draft(RESCUE, "I'm sorry, but the answer cannot be determined from the passages provided."),
    Draft(RESCUE, "The narrator is rescued on the third day by the Rachel [{orphan}].", wrong=("third",)),
    Draft(
        TRAIN,
        "He left Munich on the 1st of May at 8:35 in the evening and reached Vienna early next morning.",
        cites=("bistritz",),
    ),
    Draft(TRAIN, "He left Munich on 1 May at 6:35 [{bistritz}].", wrong=("6:35",)),
    Draft(HOUSE, "At Purfleet, on a by-road [{by_road}].", cites=("by_road",)),
    Draft(HOUSE, "The estate is in Purfleet, and it is called Carfax [{invoice}].", cites=("invoice",)),
    Draft(HOUSE, "The house stands in Piccadilly [{by_road}].", wrong=("Piccadilly",)),
    Draft(
        DEATH,
        "Jonathan cuts his throat with a Kukri knife [{kukri}] while Morris plunges a bowie knife into his heart "
        "[{dust}].",
    ),
    Draft(DEATH, "Van Helsing drives a wooden stake through his heart [{dust}].", wrong=("Van Helsing",)),
    Draft(DEATH, "His body crumbles into dust [{dust}].", cites=("dust",)),
    Draft(
        INVOICE,
        "Samuel F. Billington & Son send them to Carter, Paterson & Co. in London, for delivery at Carfax [{invoice}].",
    ),
    Draft(
        INVOICE,
        "They go by Great Northern Railway to King’s Cross; the letter is dated August 17 [{invoice}].",
        cites=("invoice",),
    ),
    Draft(INVOICE, "They go by the Midland Railway to St Pancras [{invoice}].", wrong=("Midland",)),
    Draft(INCOME, "- Income: +12.5 %\n- Staff: 42 people\n- Berth fees: €640,000 [{figures}]", cites=("figures",)),
    Draft(INCOME, "The office has 42 employees, after 49 in 2018 [{figures}].", wrong=("2018",)),
    Draft(
        DREDGING,
        "The work took 11 weeks, and ships were never delayed for more than three hours [{dredging}].",
        cites=("dredging",),
    ),
    Draft(DREDGING, "The work took 12 weeks [{dredging}].", wrong=("12",)),
    Draft(DREDGING, "Ilse Brandt, the head of works, did it for 42,000 euros a week [{figures}].", cites=("dredging",)),
)

# What Qwen2.5-Coder-1.5B-Instruct answered over these passages, greedily; judged by hand.
BY_A_MODEL = (
    Draft(
        "How long is the largest sperm whale and what does it weigh?",
        "The largest sperm whale is between eighty-five and ninety feet in length, and something less than forty feet "
        "in its fullest circumference, such a whale will weigh at least ninety tons.",
        cites=("ninety_tons",),
    ),
    Draft(PEQUOD, "The Pequod is named after a celebrated tribe of Massachusetts Indians.", cites=("name",)),
    Draft(
        "Who are the largest owners of the Pequod, and who holds the other shares?",
        "The largest owners of the Pequod are Captain Bildad and Captain Peleg, with the other shares held by a crowd "
        "of old annuitants, widows, fatherless children, and chancery wards.",
        cites=("owners",),
    ),
    Draft("What is Stubb never without? Quote the passage.", "Stubb never without his pipe.", cites=("pipe",)),
    Draft(TASHTEGO, "[{tashtego}]", cites=("tashtego",)),
    Draft(LEG, "The passages do not answer this question."),
    Draft(
        "When did Jonathan Harker leave Munich and when did he arrive at Vienna?",
        "Jonathan Harker left Munich on May 1st and arrived at Vienna on May 2nd.",
        wrong=("May 2nd",),
        cites=("bistritz",),
    ),
    Draft(HOUSE, "The house that the Count buys is at Purfleet."),
    Draft(
        INVOICE,
        "The goods are sent by Great Northern Railway to Carfax, near Purfleet, immediately on receipt at goods "
        "station King's Cross.",
        cites=("invoice",),
    ),
    Draft(
        INCOME,
        "The income of the harbour office rose by 12.5% to €1.85 million in the year that ended on 31 March 2021.",
        cites=("figures",),
    ),
    Draft(
        DREDGING,
        "The dredging of the northern channel began on 2020-09-14 and took eleven weeks. Contractor was Hafner & Sons "
        "GmbH, of Emden; the price agreed was 42,000 francs a week.",
        cites=("dredging",),
    ),
    Draft(
        "What did Dr. Brandt say about the work?",
        'Dr. Brandt called it "the cleanest job in twenty years".',
        cites=("dredging",),
    ),
    Draft(
        "How long is the skeleton at Tranque?",
        "The skeleton at Tranque measures seventy-two feet.",
        cites=("skeleton",),
    ),
    Draft(
        "List three facts about the whales.", "The whales are large, dangerous, and dangerous.", wrong=("dangerous",)
    ),
    Draft(
        "What three ships were up for voyages?",
        "The three ships were up for voyages: The Devil-dam, the Tit-bit, and the Pequod.",
        cites=("name",),
    ),
)

# Wrong answers of the same model that pass the check: their words stand in the passages, but about others.
BEYOND_WORDS = (
    Draft(
        "What does Jonathan Harker wear?",
        "Jonathan Harker wears high boots, long black hair, and heavy black moustaches.",
        wrong=("high boots",),
    ),
    Draft("Who is Peter Hawkins?", "Peter Hawkins is a friend of Starbuck and Jonathan Harker.", wrong=("Starbuck",)),
    Draft(
        "What did Flask say about the great live squid?",
        "Flask said the great live squid was few whale-ships never beheld, and returned to their ports to tell of it.",
        wrong=("never beheld",),
    ),
)
