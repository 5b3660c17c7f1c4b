"""The EC2 API as AWS describes it to its own clients: the model of a recent botocore, and our page about it.

Debian's botocore is years old, so only its code is used: the model is taken from the wheel of a newer one, which is
fetched from PyPI once and kept below target/."""

import functools
import gzip
import pathlib
import re
import tempfile
import zipfile

import botocore.loaders
import botocore.model
import botocore.session
import pypi
from conftest import ROOT

VERSION = "1.44.5"
API = "ec2/2016-11-15"
FILES = ("service-2.json", "waiters-2.json", "paginators-1.json")
KEPT = ROOT / "target" / f"botocore-{VERSION}"
ITEM = re.compile(r"`([^`]+)`(?: \(((?:`[^`]*` ?)+)\))?")


@functools.cache
def data():
    """The directory with the model's files, as botocore's loader looks for them."""
    if not (KEPT / API).exists():
        with tempfile.TemporaryDirectory() as directory:
            unpack(pypi.download(f"botocore=={VERSION}", pathlib.Path(directory)))
    return KEPT


def unpack(wheel):
    """Keeps the model's files, all or none."""
    (KEPT / API).parent.mkdir(parents=True, exist_ok=True)
    part = pathlib.Path(tempfile.mkdtemp(dir=KEPT))
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            path = f"botocore/data/{API}/{name}"
            if path in archive.namelist():
                content = archive.read(path)
            else:
                content = gzip.decompress(archive.read(f"{path}.gz"))
            (part / name).write_bytes(content)
    part.chmod(0o755)
    part.rename(KEPT / API)


@functools.cache
def model():
    loader = botocore.loaders.Loader(extra_search_paths=[str(data())])
    loader.search_paths.insert(0, str(data()))
    return botocore.model.ServiceModel(loader.load_service_model("ec2", "service-2"), "ec2")


def client(url, **config):
    """A client that knows the model's actions, waiters and paginators."""
    session = botocore.session.Session()
    session.get_component("data_loader").search_paths.insert(0, str(data()))
    return session.create_client(
        "ec2",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20, **config),
    )


def parameters(shape, name="", above=()):
    """The scalars of an input shape, as the request has them, `N` for each index."""
    if shape.name in above:
        return
    above = (*above, shape.name)
    if shape.type_name == "structure":
        for member, inner in shape.members.items():
            # As botocore's serializer for this protocol names them.
            named = inner.serialization.get("queryName")
            if not named:
                named = inner.serialization.get("name", member)
                named = named[:1].upper() + named[1:]
            yield from parameters(inner, f"{name}.{named}" if name else named, above)
    elif shape.type_name == "list":
        yield from parameters(shape.member, f"{name}.N", above)
    else:
        yield name, shape


class Standing:
    """What becomes of an action's parameters, by the page."""

    def __init__(self):
        self.carried_out, self.only, self.refused = set(), {}, set()

    def of(self, parameter):
        """By the longest name that stands for it."""
        parts = parameter.split(".")
        if parameter in self.carried_out:
            return "carried out"
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            if name in self.only:
                return "only"
            if name in self.refused:
                return "refused"
        return None

    @property
    def names(self):
        return self.carried_out | set(self.only) | self.refused


@functools.cache
def page():
    """The actions that docs/api.md lists, which a test of the crate `control` compares with the code."""
    text = (ROOT / "docs" / "api.md").read_text().split("<!-- From here", 1)[1].split("<!-- To here")[0]
    actions = {}
    for section in text.split("\n### ")[1:]:
        name, _, body = section.partition("\n")
        standing = actions[name] = Standing()
        for line in " ".join(body.split()).split("- ")[1:]:
            head, _, rest = line.partition(": ")
            items = {name: re.findall("`([^`]*)`", values) for name, values in ITEM.findall(rest)}
            if head == "Only with these values":
                standing.only = items
            else:
                {"Carried out": standing.carried_out, "Refused": standing.refused}[head].update(items)
    assert len(actions) > 100
    return actions


def members(shape, element, seen, strange, path):
    """Reads an answer as botocore does: notes each member that is seen of each structure, and what is strange."""
    if shape.type_name == "structure":
        names = {inner.serialization.get("name", member): (member, inner) for member, inner in shape.members.items()}
        there = seen.setdefault(shape.name, set())
        for child in element:
            if local(child) not in names:
                strange.add(f"{path}: no member of {shape.name} is called {local(child)}")
                continue
            member, inner = names[local(child)]
            if member in there and sum(local(other) == local(child) for other in element) > 1:
                strange.add(f"{path}: {local(child)} is there more than once")
            there.add(member)
            members(inner, child, seen, strange, f"{path}.{member}")
    elif shape.type_name == "list":
        for child in element:
            if local(child) != shape.member.serialization.get("name", "item"):
                strange.add(f"{path}: an element {local(child)}")
            members(shape.member, child, seen, strange, path)
    elif not fits(shape, element.text or ""):
        strange.add(f"{path}: {element.text!r} is no {shape.type_name}")
    elif len(element):
        strange.add(f"{path}: has members")


def fits(shape, text):
    if getattr(shape, "enum", None):
        return text in shape.enum
    return re.fullmatch(FORMS.get(shape.type_name, "(?s:.*)"), text) is not None


FORMS = {
    "boolean": "true|false",
    "integer": r"-?\d+",
    "long": r"-?\d+",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z",
}


def local(element):
    return element.tag.rpartition("}")[2]
