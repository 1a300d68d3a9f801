"""Failed assertions of the contract say what was compared, as those in test files do."""

import pytest

pytest.register_assert_rewrite("pfgm_science.testing")
