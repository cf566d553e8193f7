"""Forms with files in them, read as their bytes come in."""

from __future__ import annotations

from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from eke.gateway.refusal import Refusal, bad


class Part(NamedTuple):
    """Some bytes of a field. filename: of one that is a file.  ends: these are its last."""

    name: str
    filename: str | None
    data: bytes
    ends: bool


class Form:
    """Takes the bytes of a form and gives what they say of its fields, piece by piece."""

    def __init__(self, content_type: bytes) -> None:
        """content_type: header of the request.  Raises Refusal 400 where it is none of a form."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise bad("Send a file as multipart/form-data, with a boundary.")
        self._header = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._filename: str | None = None
        self._found: list[Part] = []
        self._over = False
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_header_begin": self._on_header,
                "on_header_field": self._on_header_name,
                "on_header_value": self._on_header_value,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_end,
                "on_end": self._on_over,
            },
        )

    def feed(self, data: bytes) -> list[Part]:
        """What some more bytes say. Raises Refusal 400."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise bad(f"The form cannot be read: {error}.") from None
        found, self._found = self._found, []
        return found

    def end(self) -> None:
        """No more bytes come. Raises Refusal 400 where the form is not complete."""
        if not self._over:
            raise bad("The form ends before its last boundary.")

    def _on_header(self) -> None:
        self._header = b""

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end].lower()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header] = self._headers.get(self._header, b"") + data[start:end]

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._filename = None if filename is None else filename.decode("utf-8", "replace")
        self._headers = {}

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(Part(self._name, self._filename, data[start:end], False))

    def _on_end(self) -> None:
        self._found.append(Part(self._name, self._filename, b"", True))

    def _on_over(self) -> None:
        self._over = True


def too_long(most: int, what: str) -> Refusal:
    """A file that is larger than it may be [B]."""
    return Refusal(
        413, f"The {what} is larger than the {most:,} bytes there may be.", code="file_too_large"
    )
