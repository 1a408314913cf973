"""Whole numbers in addresses: of digits alone."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")


def _in_digits(text: Any) -> Any:
    """Refuses other spellings that Python takes: `1_0`, ` 5`, `+5`."""
    if isinstance(text, str) and not _WHOLE_NUMBER.fullmatch(text):
        raise PydanticCustomError("int_parsing", "not a whole number")
    return text


InDigits = BeforeValidator(_in_digits)
