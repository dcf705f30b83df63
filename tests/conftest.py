"""Settings that every test shares.

The examples of property tests are the same in every run, so that a red run means a change. `pytest --hypothesis-profile=explore` draws
new ones, for those who look for trouble.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "pulse", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("pulse")
