"""What a component asks of its host: the names of its imports and exports, read from the binary,
and what a world in wit/world.wit grants."""

import pathlib
import re

WIT = pathlib.Path(__file__).resolve().parent.parent / "wit/world.wit"


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def name(self):
        kind = self.byte()  # 0, 1: a plain name; 2: one with a version beside it
        name = self.take(self.number()).decode()
        if kind == 2:
            raise ValueError("a name in a form that is not known here")
        return name

    def describe(self):
        """The kind of an import: skipped but for its letter."""
        sort = self.byte()
        if sort == 0x00:  # a core module
            self.byte()
            self.number()
        elif sort == 0x03 and self.byte() == 0x01:  # a type: a new resource
            return sort
        elif sort == 0x02:  # a value
            raise ValueError("a value import")
        if sort != 0x00:
            self.number()
        return sort


def sections(code):
    if code[:8] != b"\0asm\x0d\0\x01\0":
        raise ValueError("not a component")
    reader = Reader(code)
    reader.at = 8
    while reader.at < len(code):
        kind = reader.byte()
        yield kind, reader.take(reader.number())


def imports(path):
    """The imports of a component, such as `wasi:io/poll@0.2.12`."""
    names = set()
    for kind, content in sections(pathlib.Path(path).read_bytes()):
        if kind == 10:
            reader = Reader(content)
            for _ in range(reader.number()):
                names.add(reader.name())
                reader.describe()
    return names


def exports(path):
    names = set()
    for kind, content in sections(pathlib.Path(path).read_bytes()):
        if kind == 11:
            reader = Reader(content)
            for _ in range(reader.number()):
                names.add(reader.name())
                reader.byte()  # what kind of thing: none here is a core module
                reader.number()
                if reader.byte() == 1:  # with its type
                    reader.describe()
    return names


def world(name):
    """What a world imports, what it includes among them."""
    text = re.sub(r"//[^\n]*", "", WIT.read_text())
    found = re.search(rf"^world {name} \{{(.*?)^\}}", text, re.M | re.S)
    if not found:
        raise ValueError(f"there is no world {name}")
    names = set(re.findall(r"\bimport ([^;]+);", found[1]))
    for included in re.findall(r"\binclude ([^;]+);", found[1]):
        names |= world(included)
    return names


if __name__ == "__main__":
    import sys

    for file in sys.argv[1:]:
        print(file, *sorted(imports(file)), "exports:", *sorted(exports(file)), sep="\n  ")
