"""Catalogues: texts in other languages. The source texts are English and stand in the code.

A catalogue is read when it is first needed, so that no compiled file has to be kept beside it. The one of this package
has what the rooms below the pages say: reasons, refusals and findings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, Literal, get_args

Language = Literal["en", "de"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
SOURCE: Final[Language] = "en"
"""The language of the texts in the code, for whoever has chosen none."""
MESSAGES = Path(__file__).parent / "locales" / "{language}" / "LC_MESSAGES" / "messages.po"


def catalogue(file: Path, language: str) -> NullTranslations:
    """Return the texts of a language; a language without a file, as English, says the texts of the code."""
    if not file.exists():
        return NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.support import Translations

    compiled = BytesIO()
    with file.open("rb") as text:
        write_mo(compiled, read_po(text, locale=language))
    compiled.seek(0)
    return Translations(compiled, domain=file.stem)


@cache
def say_in(language: str) -> Callable[[str], str]:
    """Return the function that translates what reasons, refusals and findings say."""
    if language not in LANGUAGES:
        raise ValueError(f"there is no language {language!r}; there are {', '.join(LANGUAGES)}")
    return catalogue(Path(str(MESSAGES).format(language=language)), language).gettext
