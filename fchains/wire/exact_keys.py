"""The keys of core schema nodes that mean nothing for exactness, or that `exact` looks at itself.

A node of another kind, or with another key, is never taken to be exact.
"""

from __future__ import annotations

_BOUNDS = {"le", "ge", "lt", "gt"}
_LENGTHS = {"min_length", "max_length", "fail_fast", "strict"}
_TEMPORAL = _BOUNDS | {"now_op", "now_utc_offset", "tz_constraint", "microseconds_precision"}
_TEXT = {"pattern", "regex_engine", "strip_whitespace", "to_lower", "to_upper", "ascii_only"}
_DEFAULT = {"default", "default_factory", "default_factory_takes_data", "validate_default", "copy_default"}
_FIELD = {"schema", "required", "frozen", "validation_alias", "serialization_alias"}
_CLASS = {"cls", "schema", "config", "frozen", "revalidate_instances", "generic_origin"}
KNOWN_KEYS: dict[str, set[str]] = {
    "none": set(),
    "bool": set(),
    "int": _BOUNDS | {"multiple_of"},
    "float": _BOUNDS | {"multiple_of", "allow_inf_nan"},
    "str": _LENGTHS | _TEXT | {"coerce_numbers_to_str"},
    "decimal": _BOUNDS | {"multiple_of", "allow_inf_nan", "max_digits", "decimal_places"},
    "uuid": {"version"},
    "date": _TEMPORAL,
    "datetime": _TEMPORAL,
    "time": _TEMPORAL,
    "timedelta": _TEMPORAL,
    "enum": {"cls", "members", "sub_type", "missing"},
    "literal": {"expected"},
    "list": _LENGTHS | {"items_schema"},
    "set": _LENGTHS | {"items_schema"},
    "frozenset": _LENGTHS | {"items_schema"},
    "tuple": _LENGTHS | {"items_schema", "variadic_item_index"},
    "dict": _LENGTHS | {"keys_schema", "values_schema"},
    "nullable": {"schema"},
    "default": {"schema"} | _DEFAULT,
    "union": {"choices", "mode"},
    "tagged-union": {"choices", "discriminator", "from_attributes"},
    "typed-dict": {"fields", "cls", "cls_name", "config", "extra_behavior", "total", "computed_fields"},
    "typed-dict-field": _FIELD,
    "model": _CLASS | {"custom_init", "root_model"},
    "model-fields": {"fields", "model_name", "computed_fields", "extra_behavior", "from_attributes"},
    "model-field": _FIELD,
    "dataclass": _CLASS | {"fields", "post_init", "slots"},
    "dataclass-args": {"fields", "dataclass_name", "computed_fields", "collect_init_only"},
    "dataclass-field": _FIELD | {"name", "kw_only", "init"},
    "definitions": {"schema", "definitions"},
    "definition-ref": {"schema_ref"},
}
EVERYWHERE = {"type", "ref", "metadata", "strict"}
NEEDED = {
    "list": {"items_schema"},
    "set": {"items_schema"},
    "frozenset": {"items_schema"},
    "tuple": {"items_schema"},
    "dict": {"keys_schema", "values_schema"},
}
