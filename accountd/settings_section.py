"""A group of settings: frozen, and strict about what it does not know."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

Problem = tuple[str, str]
"""The name of a setting and what is allowed there."""


class Section(BaseModel):
    """A group of settings; what is unknown is refused, what is empty has its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, told: Any) -> Any:
        if not isinstance(told, dict):
            return told
        return {key: value for key, value in told.items() if value != "" or key == "listen"}

    @model_validator(mode="after")
    def _check(self) -> "Section":
        if problems := list(self.problems()):
            raise PydanticCustomError("problems", "settings do not fit together", {"problems": problems})
        return self

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong between settings that are each right."""
        yield from ()
