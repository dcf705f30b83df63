"""What makes the checks quick, and their failures plain."""

from collections.abc import Iterator

import pytest

from pulse_gateway.catalog.catalog import Catalog

# They are helpers of the tests: what they compare is to be shown where it differs.
pytest.register_assert_rewrite("contract_chat", "contract_operation", "contract_requests")


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """Each case of a file has a gateway of its own, and all of them the same catalog; tests of other folders have theirs."""
    catalog = Catalog.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalog, "load", lambda **_: catalog)
        yield
