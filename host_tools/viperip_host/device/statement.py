# Whether what was typed at a prompt is a whole statement.


def unfinished(text):
    """Whether more lines must follow: an open bracket or string, a block, a backslash."""
    depth = 0
    quote = ""
    i = 0
    n = len(text)
    last = ""
    while i < n:
        c = text[i]
        if quote:
            if c == "\\":
                i += 1
            elif text[i : i + len(quote)] == quote:
                i += len(quote) - 1
                quote = ""
            elif c == "\n" and len(quote) == 1:
                quote = ""  # a mistake that the compiler will name
        elif c == "#":
            while i < n and text[i] != "\n":
                i += 1
            continue
        elif c in "'\"":
            quote = c * 3 if text[i : i + 3] == c * 3 else c
            i += len(quote) - 1
            last = c
        else:
            if c in "([{":
                depth += 1
            elif c in ")]}":
                depth -= 1
            if c not in " \t\r\n":
                last = c
        i += 1
    if len(quote) == 3 or depth > 0 or text.endswith("\\"):
        return True
    if last == ":" or text.startswith("@"):
        return not text.endswith("\n")
    # A block goes on until an empty line.
    return "\n" in text and _is_block(text) and not text.endswith("\n")


def _is_block(text):
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):
            return True
    return False
