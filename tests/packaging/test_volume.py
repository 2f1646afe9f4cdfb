import pytest

from fchains.errors import DefinitionError
from fchains.packaging.volume import Volume


@pytest.mark.parametrize("name", ["a", "hf-cache", "v1.2_x", "A" * 64])
def test_a_volume_has_the_name_it_was_given(name: str) -> None:
    assert Volume(name).name == name


def test_volumes_of_one_name_are_equal_and_hash_equally() -> None:
    assert Volume("cache") == Volume("cache")
    assert len({Volume("cache"), Volume("cache"), Volume("other")}) == 2


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".hidden", "-x", "ä", "a\n", "A" * 65])
def test_a_bad_name_is_refused_where_it_is_written(name: str) -> None:
    with pytest.raises(DefinitionError, match=r"test_volume\.py:\d+: Volume: .* is no volume name"):
        Volume(name)


def test_the_message_suggests_a_name() -> None:
    with pytest.raises(DefinitionError, match=r'as in Volume\("my-cache-1"\)'):
        Volume("my cache/1")


def test_a_name_that_is_no_string_is_refused() -> None:
    with pytest.raises(DefinitionError, match="must be a string, not 3"):
        Volume(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_volume_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Volume("a").name = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
