# Runs in MicroPython: the functions of the given device tests, until one fails. The first argument
# is the folders for sys.path, with colons between; the others are the files, in order.
import sys

sys.path[:] = sys.argv[1].split(":")


def run():
    for path in sys.argv[2:]:
        folder, file = path.rsplit("/", 1)
        sys.path.insert(0, folder)
        name = "import"
        try:
            module = __import__(file[:-3])
            with open(path) as f:
                names = [line[4 : line.index("(")] for line in f if line.startswith("def test_")]
            for name in names:
                getattr(module, name)()
        except BaseException as e:
            if type(e).__name__ != "SkipTest":
                print("RED %s %s %s" % (file[:-3], name, type(e).__name__))
                return
    print("GREEN")


run()
