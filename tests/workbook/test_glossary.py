"""The glossary is data: each word in its own script, once, and the adjoint never taken for the adjugate."""

import re
from collections import Counter

import pytest

from nodelib.workbook.glossary import ADJOINTS, GLOSSARY, NOTES, Term, adjoints, notes, terms

TERMS = [term for part in GLOSSARY.values() for term in part]
HANGUL, KANA, HAN = "[가-힣]", "[ぁ-ヿ]", "[一-鿿]"
# Shift JIS lacks the simplified characters and GB 2312 the Japanese and traditional ones, so a wrong one shows.
ENCODINGS = {"ja": "cp932", "ko": "cp949", "zh": "gb2312"}

each_term = pytest.mark.parametrize("term", TERMS, ids=lambda term: term.en)


@each_term
@pytest.mark.parametrize("language", ENCODINGS)
def test_each_word_is_written_in_its_own_script(term: Term, language: str):
    word = getattr(term, language)
    word.encode(ENCODINGS[language])
    assert bool(re.search(HANGUL, word)) == (language == "ko")
    assert bool(re.search(HAN, word)) == (language != "ko") or re.search(KANA, word)
    assert language == "ja" or not re.search(KANA, word)


@each_term
def test_each_meaning_is_one_short_sentence(term: Term):
    assert re.fullmatch(r".{10,105}\.", term.meaning)


def test_some_ninety_words_each_once():
    assert 85 <= len(TERMS) <= 100
    for language in Term._fields:
        assert Counter(getattr(term, language) for term in TERMS).most_common(1)[0][1] == 1


def test_the_adjoint_is_not_the_adjugate():
    (adjoint,) = [term for term in TERMS if term.en == "adjoint"]
    vector, transpose, adjugate = ADJOINTS
    assert adjoint[1:4] == ("随伴変数（随伴ベクトル）", "수반 변수(수반 상태)", "伴随变量（伴随状态）")
    assert vector[1:] == ("随伴変数（随伴ベクトル）", "수반 변수", "伴随变量")
    assert transpose[1:] == ("随伴行列（共役転置）", "켤레 전치(에르미트 수반)", "共轭转置")
    assert adjugate[1:] == ("余因子行列（古典随伴行列）", "고전적 수반 행렬(수반행렬, 딸림행렬)", "伴随矩阵")
    matrices = re.compile("余因子|随伴行列|伴随矩阵|수반 ?행렬")
    assert not [term.en for term in TERMS if matrices.search(term.ja + term.ko + term.zh)]


def test_what_the_notes_should_say_is_what_the_glossary_says():
    words = {word for term in TERMS for name in term[1:4] for word in re.split("[（）()]", name)}
    read = {read.split("（")[0] for _, _, _, read, _ in NOTES}
    assert read - words == {"ヤコビ行列式", "Runge-Kutta 적분기", "비선형 방정식"}  # three that need no entry


def test_the_tables_mark_the_languages():
    page = terms("Solvers")._repr_html_()
    for lang, word in (("ja", "刻み幅"), ("ko", "강성"), ("zh-Hans", "步长")):
        assert re.search(f'<td lang="{lang}"[^>]*>{word}', page)
    assert adjoints()._repr_html_().count('lang="zh-Hans"') == len(ADJOINTS)
    assert len(notes().rows) == len(NOTES)


def test_an_unknown_part_is_named():
    with pytest.raises(KeyError, match="no part 'Verbs'; there are 'Equations', 'Solvers'"):
        terms("Verbs")
