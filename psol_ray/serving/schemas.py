"""What is answered, as OpenAPI describes it."""

from typing import Any

from pydantic import BaseModel, Field

from psol_ray.serving.uploads import FIELD, MOST_FILES

__all__ = ["ERRORS", "REQUEST", "Answer", "Failure", "State"]


class NamedClass(BaseModel):
    """A class that the object may be of."""

    name: str
    probability: float


class Photo(BaseModel):
    """What was found in one photo, or why nothing was looked for."""

    name: str = Field(description="The file's name in the form, without folders; empty for a photo that was the body.")
    box: tuple[float, float, float, float] | None = Field(
        None,
        description="x0, y0, x1, y1 in pixels of the photo upright, as EXIF says and viewers show it; the whole photo"
        " is 0, 0, width, height.",
    )
    width: int | None = Field(None, description="Pixels of the photo upright.")
    height: int | None = None
    classes: list[NamedClass] | None = Field(
        None, description="The five most probable, the first one first; empty without a classifier."
    )
    error: str | None = Field(None, description="What was found and what was expected, where there is no box.")


class Answer(BaseModel):
    """Of every photo of a request, in their order."""

    photos: list[Photo]
    milliseconds: float = Field(description="From the request's first byte to its answer, waiting included.")


class Failure(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One sentence: what was found and what was expected.")


class State(BaseModel):
    """How the server is."""

    replicas: int = Field(description="Processes that can answer.")
    network: dict[str, Any] = Field(description="Its backbone, input size in pixels, number of classes and device.")


_BYTES = {"type": "string", "format": "binary"}
REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": _BYTES},
            "application/octet-stream": {"schema": _BYTES},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "array", "items": _BYTES, "maxItems": MOST_FILES}},
                }
            },
        },
    }
}
"""A photo as the body, or several in a form."""

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Failure, "description": "Empty, damaged or cut short, or a form without photos."},
    408: {"model": Failure, "description": "The upload took too long."},
    413: {"model": Failure, "description": "Too many bytes or too many pixels."},
    415: {"model": Failure, "description": "No photo."},
    422: {"model": Failure, "description": "A photo under which replicas die."},
    503: {"model": Failure, "description": "Too many wait, or no replica has answered in time; Retry-After says when."},
}
