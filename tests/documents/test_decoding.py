import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seriatim.documents.decoding import decode, text_and_guess
from seriatim.documents.extraction import Unreadable

# Text as it stands in files: any character but controls, lone surrogates, and a byte order mark at the front.
TEXT = st.text(
    st.one_of(st.characters(exclude_categories=("Cs", "Cc")), st.sampled_from("\t\r\n \r\n")), min_size=1
).filter(lambda text: not text.startswith("\ufeff"))


@given(TEXT)
@example("line\r\nline\n\rend")
def test_utf8_comes_back_as_it_was_with_its_line_ends(text: str) -> None:
    assert decode(text.encode()) == text


@given(TEXT, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_byte_order_mark_tells_the_encoding_and_is_dropped(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["Plain words, line by line.\r\n" * 3, "Ёлка и снег, и звёзды над домом.\r\n" * 40])
def test_utf16_without_a_mark_is_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "He said: “It’s a café – isn’t it?” … and paid £5."),
        ("cp1252", "Die Straße ist länger, als wir dachten; die Bäume könnten größer werden."),
        ("cp1252", "Les élèves étaient très contents d’être à l’école où l’été dernier ils jouaient. Ça va ?"),
        ("latin-1", "A situação não é fácil, mas a população espera soluções até amanhã."),
        ("latin-1", "Å andra sidan är det svårt att förstå vad han menar när han går på gatan."),
        ("latin-1", "El niño comió en la montaña. ¿Cómo está usted? ¡Qué día más bonito!"),
        ("cp1250", "Zażółć gęślą jaźń. Wczoraj poszliśmy do sklepu, żeby kupić chleb i mąkę."),
        ("cp1251", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."),
        ("koi8_r", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."),
        ("cp1253", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα."),
        ("cp932", "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
        ("gb18030", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"),
        ("big5", "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神相對待。"),
        ("cp1250", "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem."),
        ("iso8859_2", "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw."),
        (
            "iso8859_2",
            "Minden emberi lény szabadon születik, és egyenlő méltósága és joga van, megkülönböztetés nélkül.",
        ),
        ("cp1254", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar."),
        ("cp932", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        ("cp932", "エラーが発生した場合は、サーバーのログファイルを確認してください。"),
        ("euc_jp", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        ("gb18030", "道可道，非常道。名可名，非常名。无名天地之始，有名万物之母。"),
        ("big5", "道可道，非常道。名可名，非常名。無名天地之始，有名萬物之母。"),
        (
            "cp949",
            "나라의 말이 중국과 달라 한자와는 서로 통하지 아니하므로, 어리석은 백성이 말하고자 하는 바가 있어도.",
        ),
        ("cp949", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
    ],
)
@pytest.mark.parametrize("lines", [1, 30])
def test_older_encodings_are_recognised(encoding: str, text: str, lines: int) -> None:
    text = (text + "\r\n") * lines
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    [
        "A part of 5 ± 0.2 mm, 10 µm wide; 3 m³ on 20 m², £5 or ¥500, ¶ 3 ¬ x.",
        "5 ± 0.2 mm",
        "10 µm",
        "m³",
        "m²",
        "¥500",
        "¶ 3 ¬ x",
        "x²y³ = a²b³, 45°±1°",
        "¿Qué? 1º piso, 2ª planta; ½ taza a 25 °C",
        "Mr. Müller met Señor Peña in Århus.",
        "Le café de Málaga est très à la mode.",
        "Jørgen and Søren met Zoë.",
        "Þór and Guðrún met François.",
        "Schröder, Müller, García, Lefèvre, Ångström, Ødegård",
        "A naïve façade of Señor Núñez.",
        "It’s a “quoted” text — with dashes…",
    ],
)
def test_signs_and_foreign_names_do_not_make_a_text_central_european(text: str) -> None:
    assert text_and_guess(text.encode("cp1252")) == (text, None)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "日本国憲法 第一章 天皇 第一条 東京都千代田区 氏名 山田太郎"),
        ("cp932", "第3条 契約金額 金壱百万円"),
        ("cp932", "株式会社日立製作所 代表取締役 社長"),
        ("cp932", "ｱｲｳｴｵ ｶﾀｶﾅ"),
        ("cp932", "ﾔﾏﾀﾞ ﾀﾛｳ 東京都"),
        ("euc_jp", "氏名 山田太郎 住所 東京都"),
        ("cp949", "김철수 박영희 이민호 최지우 정우성"),
        ("cp949", "홍길동 김영수 박철민"),
        ("gb18030", "姓名 住址 电话"),
        ("big5", "台北市信義區"),
        ("cp1250", "Zażółć gęślą jaźń"),
        ("cp1250", "Wałęsa met Havel in Łódź."),
        ("cp1250", "Dvořák wrote it."),
        ("cp1250", "Toate fiinţele umane se nasc libere şi egale în demnitate."),
        ("cp1257", "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis."),
        ("mac_roman", "Les élèves étaient très contents d’être à l’école où l’été dernier."),
        ("cp1254", "İstanbul güzel bir şehir"),
        ("cp1254", "Şu çılgın Türkler ağır ağır yürüyordu, güneş ışığı"),
    ],
)
def test_short_and_plain_texts_are_recognised(encoding: str, text: str) -> None:
    assert text_and_guess(text.encode(encoding)) == (text, encoding)


@pytest.mark.parametrize(
    ("encoding", "text", "guess"),
    [
        ("ascii", "Plain words.", None),
        ("utf-8", "吾輩は猫である。", None),
        ("utf-16", "吾輩は猫である。", None),
        ("latin-1", "Die Straße ist länger, als wir dachten.", None),
        ("cp932", "吾輩は猫である。名前はまだ無い。", "cp932"),
        ("koi8_r", "Все счастливые семьи похожи друг на друга.", "koi8_r"),
    ],
)
def test_a_guess_is_told(encoding: str, text: str, guess: str | None) -> None:
    assert text_and_guess(text.encode(encoding)) == (text, guess)


def test_windows_1252_as_the_last_resort_is_told_as_a_guess() -> None:
    headings_that_fit_no_language = "Глава 1\r\n".encode("koi8_r") * 30
    assert text_and_guess(headings_that_fit_no_language)[1] == "cp1252"


def test_a_few_foreign_lines_in_a_long_text_tell_its_encoding() -> None:
    text = "Plain words without any accent.\r\n" * 20_000 + "At last a café, with its façade.\r\n"
    assert decode(text.encode("latin-1")) == text


def test_a_damaged_byte_does_not_cost_the_rest_of_utf8() -> None:
    data = "Größe, Länge, Höhe – überall Umlaute.".encode() * 9
    assert decode(data + b"\xff." + data) == (data + "\ufffd.".encode() + data).decode()


def test_a_lone_surrogate_and_a_nul_become_the_replacement_character() -> None:
    assert decode(b"\xff\xfe" + "a\ud800b".encode("utf-16-le", "surrogatepass")) == "a\ufffdb"
    assert decode(b"one nul \0 in much honest text. " + b"words " * 50).startswith("one nul \ufffd in")


@pytest.mark.parametrize("junk", [bytes(100), bytes(range(256)) * 40, b"\x7fELF\2\1\1" + bytes(60), b"\1\2\3 a"])
def test_binary_data_is_refused(junk: bytes) -> None:
    with pytest.raises(Unreadable, match="is not text"):
        decode(junk)


@given(st.binary(max_size=300))
def test_any_bytes_become_storable_text_or_are_refused(data: bytes) -> None:
    try:
        text = decode(data)
    except Unreadable:
        return
    text.encode()
    assert "\0" not in text
