"""Settings of all tests: hypothesis sets no limit on the time of an example, which a slow machine would exceed."""

import hypothesis

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
