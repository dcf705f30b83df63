"""What makes the checks quick, and their failures plain."""

import pytest

# They are helpers of the tests: what they compare is to be shown where it differs.
pytest.register_assert_rewrite("contract_chat", "contract_operation", "contract_requests")
