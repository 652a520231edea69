"""A server that finds boxes in photos that are sent to it. HTTP alone: who works on the photos is somebody else's."""
