"""What titles of recordings say of composer, work and performer, and what they only seem to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules
from curation.artists import names_of
from curation.titles import MAX_CHARS, Parser, Piece

NAMES = {spelling: artist.name for spelling, artist in names_of(rules.load("museart18"), "music").items()}
PARSER = Parser(NAMES)
BACH, MOZART, BEETHOVEN, CHOPIN = (
    "Johann Sebastian Bach",
    "Wolfgang Amadeus Mozart",
    "Ludwig van Beethoven",
    "Frédéric Chopin",
)


@pytest.mark.parametrize(
    ("title", "composer", "work", "performer"),
    [
        (
            "J.S. Bach - Cello Suite No. 1 in G major, BWV 1007 (Yo-Yo Ma)",
            BACH,
            "Cello Suite No. 1 in G major, BWV 1007",
            "Yo-Yo Ma",
        ),
        (
            "Vivaldi: Four Seasons ~ Winter | Il Giardino Armonico",
            "Antonio Vivaldi",
            "Four Seasons",
            "Il Giardino Armonico",
        ),
        ("Chopin, Nocturne Op. 9 No. 2 - Arthur Rubinstein", CHOPIN, "Nocturne Op. 9 No. 2", "Arthur Rubinstein"),
        ("Bach, J.S.: Toccata and Fugue in D minor", BACH, "Toccata and Fugue in D minor", None),
        ("Bach, Johann Sebastian - Air", BACH, "Air", None),
        ("Mozart, Leopold: Toy Symphony", "Leopold Mozart", "Toy Symphony", None),
        ("C.P.E. Bach - Solfeggietto", "Carl Philipp Emanuel Bach", "Solfeggietto", None),
        ("Mozart Requiem (complete)", MOZART, "Requiem", None),
        ("MOZART - REQUIEM - KARL BÖHM", MOZART, "REQUIEM", "Karl Böhm"),
        ("Beethoven's Symphony No. 5", BEETHOVEN, "Symphony No. 5", None),
        ("Beethoven’s 5th Symphony", BEETHOVEN, "5th Symphony", None),
        ("Ludwig van Beethoven – Piano Sonata No. 14 “Moonlight”", BEETHOVEN, "Piano Sonata No. 14 “Moonlight", None),
        ("Moonlight Sonata - Beethoven", BEETHOVEN, "Moonlight Sonata", None),
        ("Für Elise (Ludwig van Beethoven)", BEETHOVEN, "Für Elise", None),
        ("Clair de Lune by Claude Debussy", "Claude Debussy", "Clair de Lune", None),
        ("Debussy - Clair de Lune", "Claude Debussy", "Clair de Lune", None),
        ("Erik Satie - Gymnopédie No.1", "Erik Satie", "Gymnopédie No.1", None),
        ("Gymnopedie no 1 - Satie", "Erik Satie", "Gymnopedie no 1", None),
        ("Glenn Gould - Bach: Goldberg Variations", BACH, "Goldberg Variations", "Glenn Gould"),
        ("Glenn Gould plays Bach", BACH, None, "Glenn Gould"),
        ("Lang Lang plays Chopin Nocturne op. 27 no. 2", CHOPIN, "Nocturne op. 27 no. 2", "Lang Lang"),
        ("Horowitz plays Rachmaninoff 3rd Concerto", "Sergei Rachmaninoff", "3rd Concerto", "Horowitz"),
        ("Mahler: Symphony No. 5 / Leonard Bernstein", "Gustav Mahler", "Symphony No. 5", "Leonard Bernstein"),
        ("Dvořák: Symphony No. 9 (New World)", "Antonín Dvořák", "Symphony No. 9", None),
        ("Dvorak New World Symphony", None, None, None),
        ("Grieg: Peer Gynt Suite No. 1, Op. 46 - Morning Mood", "Edvard Grieg", "Peer Gynt Suite No. 1, Op. 46", None),
        ("Puccini: Turandot - Nessun dorma", "Giacomo Puccini", "Turandot", None),
        ("La Traviata - Giuseppe Verdi", "Giuseppe Verdi", "La Traviata", None),
        (
            "Wagner: Tristan und Isolde, Prelude | Berliner Philharmoniker",
            "Richard Wagner",
            "Tristan und Isolde, Prelude",
            "Berliner Philharmoniker",
        ),
        ("Pyotr Ilyich Tchaikovsky - Swan Lake", "Pyotr Ilyich Tchaikovsky", "Swan Lake", None),
        ("Tschaikowsky: Nussknacker", "Pyotr Ilyich Tchaikovsky", "Nussknacker", None),
        ("Brahms: Variations on a Theme by Haydn", "Johannes Brahms", "Variations on a Theme by Haydn", None),
        (
            "Rhapsody on a Theme of Paganini - Rachmaninoff",
            "Sergei Rachmaninoff",
            "Rhapsody on a Theme of Paganini",
            None,
        ),
        ("Ravel - Le Tombeau de Couperin", "Maurice Ravel", "Le Tombeau de Couperin", None),
        ("Lutosławski: Symphony No. 3", "Witold Lutosławski", "Symphony No. 3", None),
        ("Allegri: Miserere [The Tallis Scholars]", None, None, None),
        (
            "Palestrina: Missa Papae Marcelli [The Tallis Scholars]",
            "Giovanni Pierluigi da Palestrina",
            "Missa Papae Marcelli",
            "The Tallis Scholars",
        ),
        ("Hildegard von Bingen - O vis aeternitatis", "Hildegard von Bingen", "O vis aeternitatis", None),
        ("Handel: Messiah - performed by The Sixteen", "George Frideric Handel", "Messiah", "The Sixteen"),
        ("Mozart KV 545", MOZART, "KV 545", None),
        ("Mozart K545 1st movement", MOZART, "K545 1st movement", None),
        ("Бах - Токката и фуга ре минор", BACH, "Токката и фуга ре минор", None),
        ("Чайковский: Лебединое озеро", "Pyotr Ilyich Tchaikovsky", "Лебединое озеро", None),
        ("モーツァルト：レクイエム", MOZART, "レクイエム", None),
        ("贝多芬 - 月光奏鸣曲", BEETHOVEN, "月光奏鸣曲", None),
        ("Metallica - Master of Puppets", "Metallica", "Master of Puppets", None),
        ("Miles Davis - So What (Official Audio)", "Miles Davis", "So What", None),
        ("John Dowland: Flow my tears (Andreas Scholl)", "John Dowland", "Flow my tears", None),
    ],
)
def test_what_a_title_says_clearly(title, composer, work, performer):
    assert PARSER.parse(title) == Piece(composer, work, performer)


@pytest.mark.parametrize(
    "title",
    [
        "Tribute to Bach",
        "Bach - a tribute",
        "Johann Strauss playlist",
        "Strauss: Also sprach Zarathustra",
        "Bach Flower remedy",
        "Verdi: news of the green city",
        "Bach",
        "Ludwig van Beethoven",
        "Beethoven (2025 film)",
        "Mozart - Official Trailer",
        "The Mozart Effect",
        "Mozart and the Whale",
        "Bach, Johann Ludwig: Cantata",
        "Bach, Sebastian - I Remember You",
        "P.D.Q. Bach: The Short-Tempered Clavier in C major",
        "Bach - Busoni: Chaconne",
        "Schubert–Liszt: Ständchen",
        "Bach/Gounod: Ave Maria",
        "Max Richter - Recomposed: Vivaldi, Four Seasons",
        "Vivaldi - Summer (Metal Version)",
        "Für Elise lo-fi - Beethoven",
        "How to play Für Elise - Beethoven",
        "Chopin Nocturne op. 9 no. 2 piano tutorial",
        "Variations on a Theme by Haydn",
        "Sonata arranged by Rachmaninoff",
        "Nocturne in the style of Chopin",
        "Mozart vs Salieri - Symphony battle",
        "Wagner Moura - interview",
        "My cat, Chopin",
        "Our dog - Verdi",
        "Glass harmonica concerto",
        "Field recordings No. 3",
        "4'33''",
        "",
        " - ",
        "((((",
        "音楽",
        "🎹🎹🎹",
    ],
)
def test_what_a_title_only_seems_to_say(title):
    assert PARSER.parse(title) == Piece()


@given(st.text(max_size=2 * MAX_CHARS))
def test_any_text_is_read(title):
    assert PARSER.parse(title).composer in {None, *NAMES.values()}
