# What an HTTP file server says besides files: reasons, media types, the page of a folder.
import os

from . import folder

REASONS = {
    100: "Continue",
    200: "OK",
    201: "Created",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}
TYPES = {
    "css": "text/css",
    "csv": "text/csv",
    "gif": "image/gif",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "log": "text/plain; charset=utf-8",
    "png": "image/png",
    "py": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
    "toml": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


def kind(path):
    """The media type that a file's name tells."""
    return TYPES.get(path.rpartition(".")[2].lower(), "application/octet-stream")


def _escaped(text):
    for c, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(c, name)
    return text


def quoted(name):
    """A file's name in a link (RFC 3986 2.3); "/" stays."""
    out = ""
    for c in name.encode():
        if 48 <= c < 58 or 65 <= c < 91 or 97 <= c < 123 or c in b"-._~/":
            out += chr(c)
        else:
            out += "%%%02X" % c
    return out


def listing(path, shown):
    """The page of the folder `path`, called `shown`, piece by piece: it may be long."""
    title = _escaped(shown)
    yield "<!DOCTYPE html><meta charset=utf-8><title>%s</title><h1>%s</h1>\n<pre>\n" % (
        title,
        title,
    )
    if shown != "/":
        yield '<a href="../">../</a>\n'
    for entry in os.ilistdir(path):
        name = entry[0]
        if name.endswith(folder.PART) or name in (".", ".."):
            continue
        if entry[1] & 0x4000:
            name += "/"
            size = ""
        else:
            known = folder.stat(path.rstrip("/") + "/" + name)
            size = str(known[1]) if known else ""
        yield '<a href="./%s">%s</a> %s\n' % (quoted(name), _escaped(name), size)
    yield "</pre>\n"
