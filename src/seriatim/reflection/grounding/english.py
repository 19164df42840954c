"""The English words that the check of answers treats apart."""

from collections.abc import Iterable


def listed(words: str) -> tuple[str, ...]:
    """The words of a line."""
    return tuple(words.split())


# Words without meaning of their own.
STOP_WORDS = frozenset(
    listed(
        "a about above after again against ago all almost also although am among an and another any anyone "
        "anything are around as at away back be became because become becomes been before behind being below "
        "between both but by came can cannot come comes contain contained "
        "containing contains could did do does doing done down due during each either "
        "else enough even ever every everyone everything few for from further gave get gets give gives go goes "
        "going gone got had has have having he hence her here hers herself him himself his how however i if in "
        "indeed inside instead into is it its itself just least less let like made make makes making many may maybe me "
        "mere merely might mine more moreover most much must my myself near neither never no none nor not nothing "
        "now of off often on once only onto or other others otherwise our ours ourselves out over own per perhaps "
        "quite rather really said same say says see seem seemed seems several shall she should since so some "
        "someone something soon still such take taken takes than that the thee their theirs them themselves then "
        "there thereby therefore these they thing things this those thou though through throughout thus thy to "
        "together too took toward towards under until unto up upon us use used uses using very via was way we "
        "well went were what whatever when where whereas whether which while who whom whose why will with within "
        "without would yes yet you your yours yourself ll re ve don didn doesn isn wasn aren weren hasn haven "
        "hadn couldn wouldn shouldn won ain"
    )
)

# Words with which an answer speaks of itself and of the passages rather than of what they say.
META_WORDS = frozenset(
    listed(
        "according account answer answers appear appears based called chapter cited citation claim conclude "
        "conclusion context describe described describes description detail details document documents evidence "
        "example excerpt excerpts explain explained explains explicitly fact final following follows given "
        "implies imply include included includes including indicate indicated indicates information known main "
        "mention mentioned mentions namely narrator note noted notes novel overall passage passages point points "
        "provide provided provides question refer referred refers relevant reveal reveals section sentence show "
        "shown shows simply source sources specific specifically state stated statement states suggest suggests "
        "summary tell tells text texts quote quotes quoted story book part means meaning mean ultimately finally "
        "initially first second third likely probably case okay ok good great sure sorry certainly course please "
        "thank thanks hello hope help correct right true false indeed"
    )
)

# Words with a capital that are no name: forms of address, and what else stands before names and numbers.
TITLES = frozenset(
    listed(
        "mr mrs ms miss dr prof professor sir lady lord captain capt colonel col general gen lieutenant lt "
        "sergeant major father mother brother sister saint st king queen prince princess count countess duke "
        "duchess baron baroness uncle aunt madam madame monsieur mademoiselle señor don doctor president judge "
        "justice reverend rev bishop pope emperor old young first second third mate master chapter book part "
        "volume section article figure table yes god i ii iii iv vi vii viii"
    )
)

# Small words inside names ("Cape of Good Hope"), and inside titles of books and chapters.
NAME_LINKS = frozenset(listed("of the de la le du del della di da van von der den af al bin ibn"))
TITLE_LINKS = NAME_LINKS.union(listed("a an and or nor in on to for by with at from as s"))

_NEGATIONS = frozenset(listed("not no never none nobody nothing neither nor without cannot"))


def denies(text: str, folded: Iterable[str]) -> bool:
    """Whether `text`, whose folded words are `folded`, says no to something."""
    return not _NEGATIONS.isdisjoint(folded) or "n't" in text.replace("’", "'")


# Stop words that turn a statement round.
DIRECTIONS = frozenset(listed("above after before behind below down less more over under until up without"))

PERSONAL_PRONOUNS = frozenset(listed("i me my mine he him his she her hers we us our they them their"))
