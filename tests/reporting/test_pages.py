"""What the pages have in common."""

from __future__ import annotations

import pytest

from proofset.reporting import pages


def test_a_template_escapes_what_it_is_given_and_misses_nothing_silently() -> None:
    from jinja2 import UndefinedError

    made = pages.environment()
    assert made.from_string("{{ text }}").render(text="<b>&") == "&lt;b&gt;&amp;"
    assert made.from_string("{{ n | count }}").render(n=1500) == "1,500"
    with pytest.raises(UndefinedError):
        made.from_string("{{ gone }}").render()


def test_style_and_script_ask_nobody_for_anything() -> None:
    for name in ("page.css", "page.js"):
        assert "http" not in pages.part(name)
