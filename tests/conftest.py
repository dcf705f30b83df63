"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

settings.register_profile("pulse", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("pulse")
