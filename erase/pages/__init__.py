"""HTML pages for people: every template of the product, its words in three languages, and their renderer."""

from volens.erase.pages.page_renderer import render_page as render_page
from volens.erase.pages.page_words import DEFAULT_LANGUAGE as DEFAULT_LANGUAGE
from volens.erase.pages.page_words import LANGUAGES as LANGUAGES
from volens.erase.pages.page_words import PageLanguage as PageLanguage
from volens.erase.pages.page_words import PageWords as PageWords
from volens.erase.pages.page_words import page_language as page_language
