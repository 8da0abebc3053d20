"""System checks. Loads no model."""

from __future__ import annotations


def check_configuration(**kwargs):
    return []


def check_database(**kwargs):
    return []
