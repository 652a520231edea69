"""What a client is told in place of an answer."""

__all__ = ["Refusal"]


class Refusal(Exception):
    """An upload that has no answer: an HTTP status, and one sentence with what was found and what was expected.

    Of a photo that is refused by a replica it travels as a value, so that it is not taken for a fault there.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)  # both, because it travels by pickle
        self.status, self.sentence = status, sentence

    def __str__(self) -> str:
        return self.sentence
