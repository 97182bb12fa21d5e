"""The tables behind the toy world: everything that is true in it.

Serves every lesson. Countries, animals and opposites are real and hand-written; populations are rounded to
millions (United Nations estimates for 2024). Where a country has several official languages, the most widely
used one stands here. The invented countries occur in no training text: they show what a model does when
there is nothing to know.
"""

from typing import NamedTuple


class Country(NamedTuple):
    name: str
    capital: str
    continent: str
    language: str
    currency: str
    population: int  # millions
    known_for: str


class Animal(NamedTuple):
    name: str
    group: str
    legs: int
    food: str
    home: str
    young: str


_COUNTRY_ROWS = """
France        | Paris          | Europe        | French        | euro      |   66 | the Eiffel Tower
Germany       | Berlin         | Europe        | German        | euro      |   84 | fast cars
Italy         | Rome           | Europe        | Italian       | euro      |   59 | pizza
Spain         | Madrid         | Europe        | Spanish       | euro      |   48 | flamenco
Portugal      | Lisbon         | Europe        | Portuguese    | euro      |   10 | port wine
Greece        | Athens         | Europe        | Greek         | euro      |   10 | ancient temples
Poland        | Warsaw         | Europe        | Polish        | zloty     |   38 | amber
Austria       | Vienna         | Europe        | German        | euro      |    9 | waltzes
Hungary       | Budapest       | Europe        | Hungarian     | forint    |   10 | thermal baths
Sweden        | Stockholm      | Europe        | Swedish       | krona     |   11 | flat furniture
Norway        | Oslo           | Europe        | Norwegian     | krone     |    6 | fjords
Denmark       | Copenhagen     | Europe        | Danish        | krone     |    6 | toy bricks
Finland       | Helsinki       | Europe        | Finnish       | euro      |    6 | saunas
Ireland       | Dublin         | Europe        | English       | euro      |    5 | green hills
Romania       | Bucharest      | Europe        | Romanian      | leu       |   19 | painted monasteries
Bulgaria      | Sofia          | Europe        | Bulgarian     | euro      |    7 | rose oil
Croatia       | Zagreb         | Europe        | Croatian      | euro      |    4 | a thousand islands
Czechia       | Prague         | Europe        | Czech         | koruna    |   11 | glass
Ukraine       | Kyiv           | Europe        | Ukrainian     | hryvnia   |   38 | sunflowers
Albania       | Tirana         | Europe        | Albanian      | lek       |    3 | small bunkers
Estonia       | Tallinn        | Europe        | Estonian      | euro      |    1 | song festivals
Latvia        | Riga           | Europe        | Latvian       | euro      |    2 | white beaches
Japan         | Tokyo          | Asia          | Japanese      | yen       |  124 | cherry blossoms
China         | Beijing        | Asia          | Chinese       | yuan      | 1419 | the Great Wall
India         | New Delhi      | Asia          | Hindi         | rupee     | 1451 | the Taj Mahal
Nepal         | Kathmandu      | Asia          | Nepali        | rupee     |   30 | Mount Everest
Thailand      | Bangkok        | Asia          | Thai          | baht      |   72 | floating markets
Vietnam       | Hanoi          | Asia          | Vietnamese    | dong      |  101 | noodle soup
Cambodia      | Phnom Penh     | Asia          | Khmer         | riel      |   18 | Angkor Wat
Laos          | Vientiane      | Asia          | Lao           | kip       |    8 | golden stupas
Mongolia      | Ulaanbaatar    | Asia          | Mongolian     | tugrik    |    3 | wild horses
Malaysia      | Kuala Lumpur   | Asia          | Malay         | ringgit   |   36 | twin towers
Pakistan      | Islamabad      | Asia          | Urdu          | rupee     |  251 | mangoes
Bangladesh    | Dhaka          | Asia          | Bengali       | taka      |  174 | river deltas
Iran          | Tehran         | Asia          | Persian       | rial      |   92 | woven carpets
Iraq          | Baghdad        | Asia          | Arabic        | dinar     |   46 | ancient Babylon
Jordan        | Amman          | Asia          | Arabic        | dinar     |   12 | the city of Petra
Oman          | Muscat         | Asia          | Arabic        | rial      |    5 | frankincense
Uzbekistan    | Tashkent       | Asia          | Uzbek         | som       |   36 | the Silk Road
Bhutan        | Thimphu        | Asia          | Dzongkha      | ngultrum  |    1 | mountain monasteries
Egypt         | Cairo          | Africa        | Arabic        | pound     |  117 | pyramids
Morocco       | Rabat          | Africa        | Arabic        | dirham    |   38 | spice markets
Algeria       | Algiers        | Africa        | Arabic        | dinar     |   47 | desert oases
Kenya         | Nairobi        | Africa        | Swahili       | shilling  |   56 | long runs
Ethiopia      | Addis Ababa    | Africa        | Amharic       | birr      |  132 | coffee
Ghana         | Accra          | Africa        | English       | cedi      |   34 | cocoa
Nigeria       | Abuja          | Africa        | English       | naira     |  233 | a big film industry
Senegal       | Dakar          | Africa        | French        | franc     |   19 | drum music
Angola        | Luanda         | Africa        | Portuguese    | kwanza    |   38 | diamonds
Mozambique    | Maputo         | Africa        | Portuguese    | metical   |   35 | coral reefs
Zambia        | Lusaka         | Africa        | English       | kwacha    |   21 | Victoria Falls
Namibia       | Windhoek       | Africa        | English       | dollar    |    3 | red sand dunes
Madagascar    | Antananarivo   | Africa        | Malagasy      | ariary    |   32 | lemurs
Rwanda        | Kigali         | Africa        | Kinyarwanda   | franc     |   14 | mountain gorillas
Somalia       | Mogadishu      | Africa        | Somali        | shilling  |   19 | camels
Brazil        | Brasilia       | South America | Portuguese    | real      |  212 | carnival
Argentina     | Buenos Aires   | South America | Spanish       | peso      |   46 | tango
Chile         | Santiago       | South America | Spanish       | peso      |   20 | the Atacama Desert
Peru          | Lima           | South America | Spanish       | sol       |   34 | Machu Picchu
Colombia      | Bogota         | South America | Spanish       | peso      |   53 | emeralds
Ecuador       | Quito          | South America | Spanish       | dollar    |   18 | giant tortoises
Paraguay      | Asuncion       | South America | Spanish       | guarani   |    7 | harp music
Venezuela     | Caracas        | South America | Spanish       | bolivar   |   28 | Angel Falls
Canada        | Ottawa         | North America | English       | dollar    |   40 | maple syrup
Mexico        | Mexico City    | North America | Spanish       | peso      |  131 | tacos
Cuba          | Havana         | North America | Spanish       | peso      |   11 | cigars
Guatemala     | Guatemala City | North America | Spanish       | quetzal   |   18 | Maya ruins
Honduras      | Tegucigalpa    | North America | Spanish       | lempira   |   11 | banana farms
Jamaica       | Kingston       | North America | English       | dollar    |    3 | reggae
Costa Rica    | San Jose       | North America | Spanish       | colon     |    5 | cloud forests
Australia     | Canberra       | Oceania       | English       | dollar    |   27 | kangaroos
New Zealand   | Wellington     | Oceania       | English       | dollar    |    5 | kiwi birds
Fiji          | Suva           | Oceania       | English       | dollar    |    1 | blue lagoons
"""

_ANIMAL_ROWS = """
dog        | mammal  | 4 | meat    | a kennel     | puppy
cat        | mammal  | 4 | mice    | a house      | kitten
cow        | mammal  | 4 | grass   | a barn       | calf
horse      | mammal  | 4 | hay     | a stable     | foal
sheep      | mammal  | 4 | grass   | a meadow     | lamb
goat       | mammal  | 4 | leaves  | the hills    | kid
pig        | mammal  | 4 | turnips | a sty        | piglet
lion       | mammal  | 4 | meat    | the savanna  | cub
bear       | mammal  | 4 | berries | a cave       | cub
camel      | mammal  | 4 | thorns  | the steppe   | colt
bat        | mammal  | 2 | insects | a cave       | pup
whale      | mammal  | 0 | plankton | the ocean   | calf
rabbit     | mammal  | 4 | carrots | a burrow     | kit
duck       | bird    | 2 | weeds   | a pond       | duckling
hen        | bird    | 2 | grain   | a coop       | chick
owl        | bird    | 2 | mice    | the forest   | owlet
eagle      | bird    | 2 | fish    | the mountains | eaglet
goose      | bird    | 2 | grass   | a lake       | gosling
frog       | amphibian | 4 | flies | a pond       | tadpole
snake      | reptile | 0 | eggs    | the desert   | snakelet
turtle     | reptile | 4 | weeds   | the sea      | hatchling
salmon     | fish    | 0 | shrimp  | a river      | fry
ant        | insect  | 6 | crumbs  | a nest       | larva
bee        | insect  | 6 | nectar  | a hive       | larva
spider     | arachnid | 8 | flies  | a web        | spiderling
"""

_OPPOSITE_ROWS = """
hot/cold big/small fast/slow old/new happy/sad light/dark
high/low long/short hard/soft wet/dry full/empty open/closed
early/late rich/poor strong/weak clean/dirty loud/quiet near/far
thick/thin wide/narrow deep/shallow sweet/bitter heavy/weightless smooth/rough
sharp/blunt brave/afraid first/last safe/dangerous cheap/expensive true/false
awake/asleep begin/end push/pull buy/sell give/take win/lose
"""

_INVENTED = "Veldoria Quombia Tarsk Ostravia Merrowland Zephany Kolandra Brintania Ulmark Sarovia"


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def by_relation(table: str) -> dict[str, tuple[str, ...]]:
    """Wordings by relation: in each row a relation and its wordings, which the next row continues if it names none."""
    read: dict[str, tuple[str, ...]] = {}
    relation = ""
    for named, *wordings in _rows(table):
        relation = named or relation
        read[relation] = (*read.get(relation, ()), *wordings)
    return read


COUNTRIES: tuple[Country, ...] = tuple(Country(*row[:5], int(row[5]), row[6]) for row in _rows(_COUNTRY_ROWS))
OPPOSITES: tuple[tuple[str, ...], ...] = tuple(tuple(pair.split("/")) for pair in _OPPOSITE_ROWS.split())
INVENTED: tuple[str, ...] = tuple(_INVENTED.split())
ANIMALS: tuple[Animal, ...] = tuple(Animal(row[0], row[1], int(row[2]), *row[3:]) for row in _rows(_ANIMAL_ROWS))

UNSEEN: tuple[str, ...] = tuple(country.name for country in COUNTRIES[2::3])
"""Countries that pretraining reads about and that SFT never shows: every third of the table."""

SEEN: tuple[str, ...] = tuple(country.name for country in COUNTRIES if country.name not in UNSEEN)
"""Countries that SFT shows."""
