"""Validators for the JSON shapes of Block Kit.

A validator checks one value and yields its problems, in Slack's words and with a JSON pointer:
`must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Callable, Iterator, Mapping

Validator = Callable[[object, str], Iterator[str]]


def problem(text: str, at: str) -> Iterator[str]:
    """Yield one problem."""
    yield f"{text} [json-pointer:{at}]"


def string(most: int, least: int = 1) -> Validator:
    """Accept a string of `least` to `most` characters."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield from problem("must be a string", at)
        elif len(value) < least:
            yield from problem(f"must be more than {least - 1} characters", at)
        elif len(value) > most:
            yield from problem(f"must be less than {most + 1} characters", at)

    return check


def one_of(*allowed: str) -> Validator:
    """Accept these strings."""

    def check(value: object, at: str) -> Iterator[str]:
        if value not in allowed:
            yield from problem(f"must be one of {', '.join(allowed)}", at)

    return check


def of_type(kind: type) -> Validator:
    """Accept values of one JSON type; `True` is not a number."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield from problem(f"must be a {kind.__name__}", at)

    return check


def anything(value: object, at: str) -> Iterator[str]:  # noqa: ARG001 - the signature of a validator
    """Accept every value."""
    yield from ()


def list_of(item: Validator, most: int, least: int = 1) -> Validator:
    """Accept a list of `least` to `most` valid items."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield from problem("must be an array", at)
            return
        if len(value) > most:
            yield from problem(f"no more than {most} items allowed", at)
        if len(value) < least:
            yield from problem(f"no fewer than {least} items allowed", at)
        for number, each in enumerate(value):
            yield from item(each, f"{at}/{number}")

    return check


def object_with(required: Mapping[str, Validator], optional: Mapping[str, Validator] | None = None) -> Validator:
    """Accept an object with these keys and no others."""
    validators = {**required, **(optional or {})}

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield from problem("must provide an object", at)
            return
        for key in required.keys() - value.keys():
            yield from problem(f"missing required field: {key}", at)
        for key, item in value.items():
            if key in validators:
                yield from validators[key](item, f"{at}/{key}")
            else:
                yield from problem(f"invalid additional property: {key}", at)

    return check


def by_type(types: Mapping[str, Validator]) -> Validator:
    """Accept an object whose `type` is one of these; its validator sees the other keys."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield from problem("must provide an object", at)
            return
        kind = value.get("type")
        validator = types.get(kind) if isinstance(kind, str) else None
        if validator is None:
            yield from problem(f"unsupported type: {kind}", f"{at}/type")
        else:
            yield from validator({key: item for key, item in value.items() if key != "type"}, at)

    return check


def with_either(first: str, second: str, validator: Validator) -> Validator:
    """Accept what the validator accepts, if it has at least one of two keys."""

    def check(value: object, at: str) -> Iterator[str]:
        yield from validator(value, at)
        if isinstance(value, dict) and first not in value and second not in value:
            yield from problem(f"must define either `{first}` or `{second}`", at)

    return check
