"""What stands on a page of the admin."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.messages import get_messages


def cells(response: Any, column: str) -> list[str]:
    """The text of one column, from the top row down, with tooltips in brackets."""
    html = response.content.decode()
    found = re.findall(rf'<t[dh] class="field-{column}[^"]*">(.*?)</t[dh]>', html, re.DOTALL)
    return [_text(cell) for cell in found]


def _text(cell: str) -> str:
    titles = re.findall(r'title="([^"]*)"', cell)
    words = re.sub(r"<[^>]+>", " ", cell)
    return unescape(" ".join([*words.split(), *(f"[{title}]" for title in titles)]))


def actions(response: Any) -> list[str]:
    """Names of the actions that the page offers."""
    select = re.search(r'<select name="action".*?</select>', response.content.decode(), re.DOTALL)
    return re.findall(r'<option value="(\w+)"', select[0]) if select else []


def messages(response: Any) -> list[tuple[str, str]]:
    """Level and text of what the user is told."""
    return [(message.level_tag, str(message)) for message in get_messages(response.wsgi_request)]
