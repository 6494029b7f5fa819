"""Sentences of the field in seven languages, and the concepts that they must name and must not name."""

import pytest

from services.matching.engine.lexicon import MARK, default_lexicon

LEXICON = default_lexicon()


def concepts_of(*texts: str) -> set[str]:
    return {term.removeprefix(MARK) for term in LEXICON.document(texts).frequencies if term.startswith(MARK)}


MEETING = [
    (
        "tanning",
        "The tanneries of our region",
        "curtume",
        "curtiembre",
        "une tannerie",
        "制革",
        "дубление",
        "دباغة الجلود",
    ),
    ("small_hydropower", "small hydropower", "小水电", "petite hydroélectricité", "minihidráulica", "малые ГЭС"),
    ("solar_power", "photovoltaic", "énergie solaire", "energia solar", "طاقة شمسية", "солнечной энергии"),
    ("cassava", "cassava", "manioc", "yuca", "mandioca", "木薯", "маниока", "الكسافا"),
    ("metrology", "metrology", "métrologie", "metrología", "metrologia", "计量", "метрологии", "معايرة"),
    ("biogas", "biogas", "biogaz", "biogás", "沼气", "биогаза", "الغاز الحيوي"),
    ("rice", "paddy", "riziculture", "arroz", "水稻", "рисоводства", "زراعة الأرز"),
    ("coffee", "coffee growers", "café", "cafés", "咖啡", "кофе", "البن"),
    ("vocational_training", "TVET", "formation professionnelle", "formación profesional", "职业培训", "التدريب المهني"),
    (
        "accreditation",
        "accreditation",
        "accréditation",
        "acreditación",
        "acreditação",
        "认可",
        "аккредитации",
        "اعتماد",
    ),
]


@pytest.mark.parametrize(
    ("concept", "texts"), [(row[0], row[1:]) for row in MEETING], ids=lambda v: v if isinstance(v, str) else ""
)
def test_the_languages_meet_in_a_concept(concept: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        assert concept in concepts_of(f"... {text} ..."), text


SENTENCES = [
    ("en", "We train technicians to treat tannery effluent and recover chrome.", {"tannery_effluent", "wastewater"}),
    (
        "fr",
        "Nous cherchons une formation à la transformation du manioc pour des coopératives.",
        {"cassava", "cooperatives"},
    ),
    ("es", "Buscamos asistencia para pequeñas centrales hidroeléctricas en zonas rurales.", {"small_hydropower"}),
    (
        "pt",
        "Precisamos de apoio ao beneficiamento de arroz e à certificação de produtos.",
        {"rice_milling", "product_certification"},
    ),
    ("ar", "نبحث عن شريك لتدريب المهندسين على كفاءة الطاقة وللمدابغ الصغيرة", {"energy_efficiency", "tanning"}),
    ("ar", "نحتاج إلى معدات لتجفيف الأسماك وبالطاقة الشمسية", {"fish_processing", "solar_power"}),
    ("zh", "我们需要小水电站的规划和设备，以及污水处理培训。", {"small_hydropower", "wastewater"}),
    ("zh", "纺织品和服装企业的能源审计", {"textiles", "garments", "energy_efficiency"}),
    ("ru", "Ищем партнёра для переработки молока и сертификации продукции.", {"dairy", "product_certification"}),
    ("ru", "Оборудование для кожевенных заводов и очистки сточных вод", {"tanning", "wastewater"}),
]


@pytest.mark.parametrize(("language", "text", "named"), SENTENCES)
def test_sentences_name_their_concepts(language: str, text: str, named: set[str]) -> None:
    assert named <= concepts_of(text), f"{language}: {concepts_of(text)}"


def test_the_longest_phrase_wins_and_counts_as_broader() -> None:
    found = concepts_of("small hydropower")
    assert {"small_hydropower", "hydropower", "renewable_energy"} <= found
    assert "small_hydropower" not in concepts_of("hydropower")


def test_stop_words_and_hyphens_do_not_part_a_phrase() -> None:
    assert "agro_processing" in concepts_of("agroprocessing") & concepts_of("agro-processing") & concepts_of(
        "agro processing"
    )
    assert "rice_milling" in concepts_of("la harina del arroz")


@pytest.mark.parametrize(
    "text",
    [
        "An institute of Chile with its own name, a car, a truck and a panel of judges: the host pays, prices rose.",
        "Soy de Perú; la orden se cumple en pocos días, el nombre no importa, mil gracias, caras largas.",
        "Il est prêt à transformer ses idées, année après année, au fond de la cour.",
        "A fonte do problema está no nome da lista.",
        "اسم المشروع ورقم الهاتف وخمس دقائق من الوقت",
        "Дорогая коллега, цвет и вес известны, карьера стала лучше.",
        "葡萄牙和印度尼西亚的代表",
    ],
)
def test_everyday_words_name_no_concept(text: str) -> None:
    assert concepts_of(text) == set()


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("The trade in used tires", "tyres_rubber_products"),
        ("les variétés de mil et de sorgho", "millet_sorghum"),
        ("a fabricação de telhas", "roofing"),
        ("las papas de los Andes", "potato"),
        ("industry 4.0", "industry_40"),
        ("the e-commerce of our firms", "e_commerce"),
        ("cooperación Sur-Sur", "triangular_cooperation"),
    ],
)
def test_ambiguous_and_composed_words_name_theirs(text: str, concept: str) -> None:
    assert concept in concepts_of(text)


def test_chinese_phrases_are_found_with_characters_that_else_mean_nothing() -> None:
    assert "youth_employment" in concepts_of("促进青年就业的项目")


def test_every_label_names_its_own_concept() -> None:
    for concept in LEXICON.concepts.values():
        for language, label, ambiguous in concept.names():
            assert ambiguous or concept.id in concepts_of(label), (concept.id, language, label)


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "🏭🇪🇹", "the of and", "的", "في من", "1234 5678", "ﷺ" * 99, "制" * 5000]
)
def test_text_without_a_concept_names_none(text: str) -> None:
    assert concepts_of(text) == set()


def test_a_text_of_all_labels_is_read() -> None:
    text = " ".join(label for concept in LEXICON.concepts.values() for _, label, _ in concept.names())
    assert len(concepts_of(text, text)) > len(LEXICON.concepts) * 0.95
