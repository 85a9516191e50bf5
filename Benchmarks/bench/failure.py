"""What ends a run with a sentence instead of a traceback."""


class Failure(Exception):
    pass
