"""The shapes of requests and answers, held against AWS's own model of the API."""

import http.client
import re
import urllib.parse

import pytest
import tour
from absent import ABSENT, STRANGE
from service_model import local, members, model, page, parameters

# Of the protocol more than of an action: the API takes them also where EC2 has none, and carries them out.
EVERYWHERE = {"DryRun", "Filter.N.Name", "Filter.N.Value.N", "MaxResults", "NextToken"}
# EC2 has them with a sister of the action only; they are refused, or change nothing.
OF_A_SISTER = {
    "AuthorizeSecurityGroupEgress": {"GroupName"},
    "CreateRoute": {"LocalTarget"},
    "RevokeSecurityGroupEgress": {"GroupName"},
    "UpdateSecurityGroupRuleDescriptionsEgress": {"SourceSecurityGroupName", "SourceSecurityGroupOwnerId"},
    "UpdateSecurityGroupRuleDescriptionsIngress": {"SourceSecurityGroupName", "SourceSecurityGroupOwnerId"},
}


@pytest.mark.parametrize("action", page())
def test_the_page_tells_of_every_parameter_and_of_no_other(action):
    shape = model().operation_model(action).input_shape
    documented = {name for name, _ in parameters(shape)} if shape else set()
    standing = page()[action]
    assert not {name for name in documented - EVERYWHERE if standing.of(name) is None}
    # What is refused is named by what it begins with.
    known = {name[:end] for name in documented for end in range(len(name) + 1) if name[end : end + 1] in ("", ".")}
    assert standing.names - known - EVERYWHERE == OF_A_SISTER.get(action, set())


@pytest.fixture(scope="module")
def ask(serve):
    """Asks as no client would, on one connection; gives the code and the message."""
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=10)

    def ask(**request):
        body = urllib.parse.urlencode({"Version": "2016-11-15", **request})
        connection.request("POST", "/", body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status < 500, text
        code = re.search("<Code>(.*)</Code>", text)
        return (code[1], re.search("<Message>(.*)</Message>", text)[1]) if code else (None, text)

    yield ask
    connection.close()


@pytest.mark.parametrize("action", page())
def test_every_parameter_is_carried_out_or_refused_by_name(ask, action):
    """One after the other, with a value that none of them can have but a text."""
    shape = model().operation_model(action).input_shape
    standing = page()[action]
    for name, scalar in parameters(shape) if shape else ():
        given = re.sub(r"\.N\b", ".1", name)
        code, message = ask(Action=action, **{"DryRun": "true", given: "nonsense"})
        assert code != "UnknownParameter", message
        if name == "DryRun":
            assert (code, "DryRun" in message) == ("InvalidParameterValue", True)
        elif standing.of(name) == "refused":
            assert (code, given in message) == ("UnsupportedOperation", True), message
        elif standing.of(name) == "only" or scalar.type_name in ("boolean", "integer", "long"):
            # Something that the request is without may be missed before.
            refusals = ("UnsupportedOperation", "InvalidParameterValue")
            missed = code == "MissingParameter" and given not in message
            assert missed or (code in refusals and given in message), f"{given}: {code} {message}"
    code, message = ask(Action=action, DryRun="true", NoSuchParameter="x")
    assert (code, "NoSuchParameter" in message) == ("UnknownParameter", True)


@pytest.fixture(scope="module")
def answers(serve):
    """All answers of a tour through the API, read by the model: what is seen of each structure, and what is strange."""
    seen, strange, actions = {}, set(), set()
    for action, answer in tour.go(serve.url):
        actions.add(action)
        shape = model().operation_model(action).output_shape
        said = shape.members.keys() if shape else ()
        for child in list(answer):
            # Of every answer, and of those that have nothing else to say.
            if local(child) == "requestId" or (local(child) == "return" and "Return" not in said):
                answer.remove(child)
        if shape:
            members(shape, answer, seen, strange, action)
        elif len(answer):
            strange.add(f"{action}: it has members")
    return seen, strange, actions


def test_the_tour_goes_through_every_action(answers):
    assert answers[2] == page().keys()


def test_answers_have_nothing_that_is_strange_to_clients(answers):
    assert answers[1] == STRANGE


def test_answers_have_every_member_but_those_with_a_reason(answers):
    seen = answers[0]
    absent = {
        f"{name}.{member}"
        for name, there in seen.items()
        for member in model().shape_for(name).members.keys() - there - {"NextToken"}
    }
    known = {member for members in ABSENT.values() for member in members.split()}
    assert absent - known == set(), "members that no answer has"
    assert known - absent == set(), "members that have a reason to be absent, and are there"
