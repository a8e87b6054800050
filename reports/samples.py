"""Checking what the samples of a run start from, before it trains."""


def check(settings, data):
    """Refuse a prompt that cannot be read, before training. Raises UserError."""
    if settings.task == "language":
        from reports import text_sample  # here, as music's needs a package that others do not
        text_sample.check(settings, data)
    elif settings.task == "music" and settings.prompt:
        from reports import music_sample
        music_sample.read_prompt(settings)
