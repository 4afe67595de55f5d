"""HTML pages for people: every template of the product and the function that renders it."""

from volens.erase.pages.page_renderer import render_page as render_page
