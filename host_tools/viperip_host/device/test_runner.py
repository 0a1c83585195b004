# Runs in MicroPython: loads one file of tests/device/ and runs the functions it is told to.
# VIPERIP_TEST holds {"file": path, "path": [folders for sys.path]}. One function name a line comes
# on stdin; each message to the host is one line on stdout: MARK and a JSON object.
import gc
import io
import json
import os
import sys

MARK = "\x01viperip "


def tell(**message):
    print(MARK + json.dumps(message))


def traceback(error):
    text = io.StringIO()
    sys.print_exception(error, text)
    return text.getvalue()


def heap():
    gc.collect()
    return gc.mem_alloc()


def outcome(function):
    # "" passed, otherwise the traceback; then the reason of a skip.
    try:
        result = function()
        if hasattr(result, "send"):  # an `async def`
            import asyncio

            asyncio.run(result)
        return "", None
    except BaseException as error:
        if type(error).__name__ == "SkipTest":
            return "", str(error) or "no reason given"
        return traceback(error), None


def imported(name):
    # The module, and "" or why there is none.
    try:
        return __import__(name), ""
    except BaseException as error:
        return None, traceback(error)


def main():
    told = json.loads(os.getenv("VIPERIP_TEST"))
    for folder in reversed(told["path"]):
        sys.path.insert(0, folder)
    folder, name = told["file"].rsplit("/", 1)
    sys.path.insert(0, folder)
    module, error = imported(name[:-3])
    tell(event="import", error=error)
    while module:
        name = sys.stdin.readline().strip()
        if not name:
            return
        before = heap()
        error, skipped = outcome(getattr(module, name))
        tell(event="end", name=name, error=error, skipped=skipped, heap=[before, heap()])


main()
