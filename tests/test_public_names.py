from types import ModuleType

import fchains


def test_all_lists_the_public_names_sorted() -> None:
    public = [
        name
        for name, value in vars(fchains).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    ]

    assert list(fchains.__all__) == sorted(public)


def test_every_public_name_is_documented() -> None:
    undocumented = [name for name in fchains.__all__ if not (getattr(fchains, name).__doc__ or "").strip()]

    assert undocumented == []
